//! What carries our mark on this machine.

use devopser_core::provider::InventoryExt;

use super::support::*;

#[tokio::test]
async fn everything_is_listed_and_can_be_removed() {
    let bench = Bench::new();
    let release = bench.deploy(app("one")).await;
    bench.address(&release).await;
    let mark = bench.mark();
    let ctx = &bench.ctx;
    let owned = bench.inventory().all_owned(ctx, &mark).await.unwrap();
    let names: Vec<_> = owned
        .iter()
        .map(|thing| (thing.kind.as_str(), thing.name.strip_prefix(&mark).unwrap()))
        .collect();
    assert_eq!(names, [("folder", "/releases/one"), ("process", "/one")]);
    assert!(
        bench
            .inventory()
            .all_owned(ctx, "other")
            .await
            .unwrap()
            .is_empty()
    );

    let mut ledger: Vec<_> = ctx.ledger.list().await.unwrap();
    ledger.sort_by(|a, b| a.intent.kind.cmp(&b.intent.kind));
    for (row, thing) in ledger.iter().zip(&owned) {
        assert_eq!(
            (&row.intent.kind, &row.intent.name),
            (&thing.kind, &thing.name)
        );
        assert!(row.provider_ref.is_some());
        let found = bench
            .inventory()
            .inspect(ctx, &thing.kind, &thing.name)
            .await;
        assert_eq!(found.unwrap().as_ref(), Some(thing));
    }
    // In the order that hurts most: the folder with the state goes first.
    for thing in &owned {
        for _ in 0..2 {
            bench.inventory().remove(ctx, thing).await.unwrap();
        }
        let found = bench
            .inventory()
            .inspect(ctx, &thing.kind, &thing.name)
            .await;
        assert_eq!(found.unwrap(), None);
    }
    assert_eq!(processes(&mark), [0; 0]);
    assert!(ctx.ledger.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_process_of_which_nothing_was_written_down_is_found_and_removed() {
    let bench = Bench::new();
    let mark = bench.mark();
    let mut stray = std::process::Command::new("sleep")
        .arg("1000")
        .env("DEVOPSER_RELEASE", format!("{mark}/lost"))
        .spawn()
        .unwrap();
    until("it runs", || !processes(&mark).is_empty()).await;
    let owned = bench
        .inventory()
        .all_owned(&bench.ctx, &mark)
        .await
        .unwrap();
    assert_eq!(owned.len(), 1);
    assert_eq!(owned[0].mark, mark);
    bench
        .inventory()
        .remove(&bench.ctx, &owned[0])
        .await
        .unwrap();
    stray.wait().unwrap();
    assert!(
        bench
            .inventory()
            .all_owned(&bench.ctx, &mark)
            .await
            .unwrap()
            .is_empty()
    );
}
