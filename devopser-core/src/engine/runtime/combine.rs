//! Waiting for several calls at once. Both helpers poll in the order given, with the waker of the caller, so that every
//! runtime can replay them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Which of two calls of [`select2`] was first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for all of them; the outputs are in the order of the futures.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                poll_into(future.as_mut(), output, cx);
                waiting |= output.is_none();
            }
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// Waits for the first of two; the first one of the arguments wins a tie. The other one is dropped, which cancels it.
pub async fn select2<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(output));
        }
        second.as_mut().poll(cx).map(Either::Right)
    })
    .await
}

fn poll_into<F: Future>(future: Pin<&mut F>, output: &mut Option<F::Output>, cx: &mut Context<'_>) {
    if let Poll::Ready(value) = future.poll(cx) {
        *output = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_outputs_come_in_order() {
        let outputs = join_all((0..50).map(|n| async move {
            if n % 2 == 0 {
                tokio::task::yield_now().await;
            }
            n
        }))
        .await;
        assert_eq!(outputs, (0..50).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_first_wins_a_tie() {
        let won = select2(async { 1 }, async { 2 }).await;
        assert_eq!(won, Either::Left(1));
        let won = select2(std::future::pending::<()>(), async { 2 }).await;
        assert_eq!(won, Either::Right(2));
    }
}
