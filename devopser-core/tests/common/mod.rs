//! What several tests share.

use devopser_core::context::Context;
use devopser_core::id::{AppName, EnvironmentName, Target, TenantId};
use devopser_core::model::resource::Owner;

/// A context of the tenant `acme`, app `shop`.
pub(crate) fn context() -> Context {
    let target = Target {
        tenant: TenantId::new("acme").unwrap(),
        app: AppName::new("shop").unwrap(),
        environment: EnvironmentName::production(),
    };
    let owner = Owner {
        installation: "inst".into(),
        target,
    };
    Context::detached(owner, "/nowhere")
}
