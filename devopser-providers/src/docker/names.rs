//! The names and labels of what is made. All of them follow from the installation, the target and the release, so that
//! a repeated call finds what an earlier one made.

use devopser_core::Result;
use devopser_core::id::{Digest, ProviderId, ReleaseId, Target};
use devopser_core::model::report::Database;
use devopser_core::model::resource::{OWNER_LABEL, Owner, ResourceIntent};
use devopser_core::model::service::ServiceRef;

use super::ID;
use super::model::Labels;

/// The label that holds the id of the release.
pub(crate) const RELEASE_LABEL: &str = "dev.devopser.release";
/// The label that tells what a container is for: `app`, or the name of a database. Unlike the owner mark it is never
/// inherited from an image: a container that a person runs from one of our images is not ours.
pub(crate) const ROLE_LABEL: &str = "dev.devopser.role";
/// The label that holds the port that the app listens on inside.
pub(crate) const PORT_LABEL: &str = "dev.devopser.port";
/// The label that holds the name of a companion.
pub(crate) const COMPANION_LABEL: &str = "dev.devopser.companion";
/// The label that holds the digest of how a companion is run: another one means that it is replaced.
pub(crate) const SPEC_LABEL: &str = "dev.devopser.spec";
/// The label of a companion that is not started again once it ended well.
pub(crate) const ONCE_LABEL: &str = "dev.devopser.once";
/// The role of a companion.
pub(crate) const ROLE_COMPANION: &str = "companion";
/// The role of an app's container.
pub(crate) const ROLE_APP: &str = "app";

/// The kinds of things in the ledger, in the order in which they are removed.
pub(crate) const KINDS: [&str; 4] = ["container", "network", "volume", "image"];

/// The owner mark of a target of this installation.
pub(crate) fn mark(owner: &Owner, target: &Target) -> String {
    Owner {
        installation: owner.installation.clone(),
        target: target.clone(),
    }
    .mark()
}

/// The name of a service, and of its network.
pub(crate) fn service(owner: &Owner, target: &Target) -> String {
    format!(
        "devopser-{}-{}-{}",
        target.app,
        target.environment,
        short_hash(&mark(owner, target))
    )
}

/// The service as a reference.
pub(crate) fn service_ref(owner: &Owner, target: &Target) -> Result<ServiceRef> {
    Ok(ServiceRef {
        provider: ProviderId::new(ID)?,
        target: target.clone(),
        name: service(owner, target),
    })
}

/// The name of the container of a release.
pub(crate) fn container(service: &str, release: &ReleaseId) -> String {
    format!("{service}-{}", short_hash(release.as_str()))
}

/// The name of the container and of the volume of a database.
pub(crate) fn database(service: &str, database: Database) -> String {
    format!("{service}-{}", database_word(database))
}

/// The name of the container of a companion. It differs from every other name of ours: those end in a hash, or in the
/// word of a database.
pub(crate) fn companion(service: &str, name: &str) -> String {
    format!("{service}.{name}")
}

/// The name of a volume that the compose file names.
pub(crate) fn volume(service: &str, name: &str) -> String {
    format!("{service}.{name}")
}

/// The word for a database: its host name on the app's network.
pub(crate) const fn database_word(database: Database) -> &'static str {
    match database {
        Database::Postgres => "postgres",
        Database::Mysql => "mysql",
        Database::Mariadb => "mariadb",
        Database::Redis => "redis",
        Database::Mongodb => "mongodb",
        _ => "database",
    }
}

/// The labels that everything of a target carries.
pub(crate) fn labels(mark: &str) -> Labels {
    Labels::from([(OWNER_LABEL.to_owned(), mark.to_owned())])
}

/// The owner mark of a thing.
pub(crate) fn mark_of(labels: &Labels) -> Option<&str> {
    labels.get(OWNER_LABEL).map(String::as_str)
}

/// Whether a mark is the prefix or lies below it, part by part.
pub(crate) fn is_below(mark: &str, prefix: &str) -> bool {
    mark.strip_prefix(prefix).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/') || prefix.is_empty()
    })
}

/// A row for the ledger.
pub(crate) fn intent(kind: &str, name: &str) -> Result<ResourceIntent> {
    Ok(ResourceIntent {
        provider: ProviderId::new(ID)?,
        kind: kind.to_owned(),
        name: name.to_owned(),
    })
}

pub(crate) fn short_hash(text: &str) -> String {
    Digest::of(text.as_bytes()).hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use devopser_core::id::{AppName, EnvironmentName, TenantId};

    fn owner(installation: &str, tenant: &str) -> Owner {
        Owner {
            installation: installation.into(),
            target: Target {
                tenant: TenantId::new(tenant).unwrap(),
                app: AppName::new("shop").unwrap(),
                environment: EnvironmentName::production(),
            },
        }
    }

    #[test]
    fn names_differ_by_installation_tenant_and_release() {
        let a = owner("one", "a");
        let names: std::collections::BTreeSet<String> = [
            service(&a, &a.target),
            service(&owner("two", "a"), &a.target),
            service(&a, &owner("one", "b").target),
            container("s", &ReleaseId::new("r1").unwrap()),
            container("s", &ReleaseId::new("r2").unwrap()),
        ]
        .into();
        assert_eq!(names.len(), 5);
        assert!(service(&a, &a.target).starts_with("devopser-shop-production-"));
    }

    #[test]
    fn a_prefix_ends_at_a_part() {
        for (mark, prefix, below) in [
            ("one/t/a/production", "one", true),
            ("one/t/a/production", "one/", true),
            ("one/t/a/production", "one/t/a/production", true),
            ("one2/t/a/production", "one", false),
            ("one/t/a/production", "one/t/a/prod", false),
            ("two/t/a/production", "one", false),
        ] {
            assert_eq!(is_below(mark, prefix), below, "{mark} {prefix}");
        }
    }
}
