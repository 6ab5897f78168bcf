//! [`PriceList`]: what a plan costs a month.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::ProviderInfo;
use crate::Result;
use crate::context::Context;
use crate::model::plan::Plan;

/// What a price list knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceCapability {
    /// The prices are asked for at the provider; without it they are a table with its date.
    pub live: bool,
}

/// An amount of money in millionths of US dollars: exact, where a float is not.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct UsdMicros(pub i64);

impl UsdMicros {
    /// So many cents.
    #[must_use]
    pub const fn cents(cents: i64) -> Self {
        Self(cents.saturating_mul(10_000))
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// So many times.
    #[must_use]
    pub const fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(count as i64))
    }
}

impl fmt::Display for UsdMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to the cent, half away from zero.
        let cents = (self.0.unsigned_abs().saturating_add(5_000)) / 10_000;
        let sign = if self.0 < 0 && cents > 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02} USD", cents / 100, cents % 100)
    }
}

/// A line of a quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteLine {
    /// What it is for.
    pub item: String,
    /// What it costs a month.
    pub monthly: UsdMicros,
    /// Whether it depends on use; `monthly` is then an estimate.
    pub estimate: bool,
}

/// What a plan costs a month, taxes left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The lines.
    pub lines: Vec<QuoteLine>,
    /// Where the prices come from: a page or an operation of the provider.
    pub source: String,
    /// The day of the prices, as `2026-11-20`.
    pub as_of: String,
}

impl Quote {
    /// All lines together.
    #[must_use]
    pub fn total(&self) -> UsdMicros {
        self.lines
            .iter()
            .fold(UsdMicros::default(), |sum, line| sum.plus(line.monthly))
    }
}

/// What a plan costs a month.
#[async_trait]
pub trait PriceList: fmt::Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it knows.
    fn capability(&self) -> PriceCapability;

    /// What the plan would cost a month. It makes nothing.
    ///
    /// # Behavior
    /// - A quote names its source and its date, and the same plan costs the same.
    async fn quote(&self, ctx: &Context, plan: &Plan) -> Result<Quote>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_and_shown_in_cents() {
        let line = |monthly| QuoteLine {
            item: "x".into(),
            monthly,
            estimate: false,
        };
        let quote = Quote {
            lines: vec![
                line(UsdMicros::cents(700)),
                line(UsdMicros(104_999)),
                line(UsdMicros(1)),
            ],
            source: "s".into(),
            as_of: "2026-11-20".into(),
        };
        assert_eq!(quote.total(), UsdMicros(7_105_000));
        assert_eq!(quote.total().to_string(), "7.11 USD");
        assert_eq!(UsdMicros(-4_999).to_string(), "0.00 USD");
        assert_eq!(UsdMicros::cents(-150).to_string(), "-1.50 USD");
        assert_eq!(UsdMicros::cents(5).times(3), UsdMicros::cents(15));
    }
}
