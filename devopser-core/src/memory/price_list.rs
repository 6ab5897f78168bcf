//! [`MemoryPriceList`]: a table of made-up prices.

use async_trait::async_trait;

use super::cloud::MemoryCloud;
use crate::Result;
use crate::context::Context;
use crate::model::plan::{BuildPlan, Plan};
use crate::provider::{PriceCapability, PriceList, ProviderInfo, Quote, QuoteLine, UsdMicros};

/// Made-up prices: 7 USD for what runs, 50 cents for what is only served, 5 USD for each database.
#[derive(Clone, Debug)]
pub struct MemoryPriceList {
    cloud: MemoryCloud,
}

impl MemoryPriceList {
    /// The one of a cloud.
    #[must_use]
    pub fn new(cloud: MemoryCloud) -> Self {
        Self { cloud }
    }
}

#[async_trait]
impl PriceList for MemoryPriceList {
    fn info(&self) -> ProviderInfo {
        MemoryCloud::info()
    }

    fn capability(&self) -> PriceCapability {
        PriceCapability { live: false }
    }

    async fn quote(&self, ctx: &Context, plan: &Plan) -> Result<Quote> {
        let call = self.cloud.look(ctx, "PriceList::quote").await?;
        let line = |item: &str, cents| QuoteLine {
            item: item.to_owned(),
            monthly: UsdMicros::cents(cents),
            estimate: false,
        };
        let mut lines = vec![match plan.build {
            BuildPlan::Static { .. } => line("site", 50),
            _ => line("service", 700),
        }];
        lines.extend(
            plan.databases
                .iter()
                .map(|database| line(&format!("{database:?}"), 500)),
        );
        call.happened().await?;
        Ok(Quote {
            lines,
            source: "the memory provider's own table".into(),
            as_of: "2026-11-20".into(),
        })
    }
}
