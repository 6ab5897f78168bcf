//! [`DnsRouter`]: points names at things.

use std::fmt::Debug;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{OnForeign, Poll, ProviderInfo};
use crate::context::Context;
use crate::id::{HostName, ProviderId, RecordName};
use crate::{Error, Result};

/// What a DNS provider can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsCapability {
    /// A CNAME may stand at the apex: the provider answers with the addresses behind it.
    pub apex_cname: bool,
    /// It can stand in front of what a record names.
    pub proxied: bool,
    /// A change is pending for a while before it is answered everywhere.
    pub pending: bool,
}

/// A zone at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The provider.
    pub provider: ProviderId,
    /// The provider's id of it.
    pub id: String,
    /// Its name.
    pub name: HostName,
}

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Another name.
    Cname,
    /// Texts.
    Txt,
    /// Who may issue certificates.
    Caa,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
    /// Services.
    Srv,
}

/// All records of one name and type: the unit of every change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// The whole name.
    pub name: RecordName,
    /// The type.
    pub record_type: RecordType,
    /// The values, sorted; a TXT value without quotes.
    pub values: Vec<String>,
    /// How long it may be kept; `None` is the provider's default.
    pub ttl: Option<Duration>,
    /// Whether the provider stands in front of it.
    #[serde(default)]
    pub proxied: bool,
    /// The owner mark, when it carries one of ours.
    pub mark: Option<String>,
}

/// Which record sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFilter {
    /// Only those of this name.
    pub name: Option<RecordName>,
    /// Only those of this type.
    pub record_type: Option<RecordType>,
}

/// A record set as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureRecordSet {
    /// The whole name.
    pub name: RecordName,
    /// The type.
    pub record_type: RecordType,
    /// Every value; what is not named is removed from the set.
    pub values: Vec<String>,
    /// How long it may be kept; `None` is the provider's default.
    pub ttl: Option<Duration>,
    /// Whether the provider stands in front of it. Needs [`DnsCapability::proxied`].
    pub proxied: bool,
    /// What happens where the set exists and is not ours.
    pub on_foreign: OnForeign,
}

impl EnsureRecordSet {
    /// A set with the provider's own time to live.
    #[must_use]
    pub fn new(name: RecordName, record_type: RecordType, values: Vec<String>) -> Self {
        Self {
            name,
            record_type,
            values,
            ttl: None,
            proxied: false,
            on_foreign: OnForeign::Refuse,
        }
    }

    /// Checks name and values against the type, the zone and what the provider can do, before anything is sent.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) that names the value and the rule.
    pub fn validate(&self, zone: &Zone, capability: DnsCapability) -> Result<()> {
        let name = self.name.as_str();
        let zone_name = zone.name.as_str();
        let at_apex = name == zone_name;
        if !at_apex && !name.ends_with(&format!(".{zone_name}")) {
            return Err(Error::invalid(
                "record_name",
                format!("\"{name}\" is not in the zone {zone_name}"),
            ));
        }
        if self.values.is_empty() {
            return Err(Error::invalid(
                "values",
                "must not be empty; remove the record set instead",
            ));
        }
        if self.record_type == RecordType::Cname {
            if self.values.len() != 1 {
                return Err(Error::invalid("values", "a CNAME has exactly one value"));
            }
            if at_apex && !capability.apex_cname {
                return Err(Error::invalid(
                    "record_type",
                    "a CNAME cannot stand at the apex of this provider's zones",
                ));
            }
        }
        if self.proxied && !capability.proxied {
            return Err(Error::invalid(
                "proxied",
                "this provider does not stand in front of records",
            ));
        }
        self.values
            .iter()
            .try_for_each(|value| self.check_value(value))
    }

    fn check_value(&self, value: &str) -> Result<()> {
        let fits = match self.record_type {
            RecordType::A => value.parse::<Ipv4Addr>().is_ok(),
            RecordType::Aaaa => value.parse::<Ipv6Addr>().is_ok(),
            RecordType::Cname | RecordType::Ns => {
                RecordName::new(value.trim_end_matches('.').to_ascii_lowercase()).is_ok()
            }
            RecordType::Txt => value.len() <= 2048 && !value.chars().any(char::is_control),
            RecordType::Caa | RecordType::Mx | RecordType::Srv => {
                (1..=512).contains(&value.len()) && !value.chars().any(char::is_control)
            }
        };
        if fits {
            Ok(())
        } else {
            let shown: String = value
                .chars()
                .take(60)
                .flat_map(char::escape_default)
                .collect();
            Err(Error::invalid(
                "values",
                format!("\"{shown}\" is no value of a {:?} record", self.record_type),
            ))
        }
    }
}

/// A record set to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveRecordSet {
    /// The whole name.
    pub name: RecordName,
    /// The type.
    pub record_type: RecordType,
}

/// A change at a provider: enough to ask after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRef {
    /// The zone.
    pub zone: Zone,
    /// The provider's id of the change; `None` when it was done at once, or when there was nothing to do.
    pub id: Option<String>,
}

/// Where a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeStatus {
    /// Not every name server of the provider answers with it yet.
    Pending,
    /// Every one does.
    Applied,
}

/// Points names at things. The owner mark is a TXT record set at `_devopser.{name}`.
#[async_trait]
pub trait DnsRouter: Debug + Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> ProviderInfo;

    /// What it can do.
    fn capability(&self) -> DnsCapability;

    /// The public zone that a name belongs to.
    ///
    /// # Behavior
    /// - Of several zones the one with the longest name wins.
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) when no zone of the account holds the name.
    async fn zone_for(&self, ctx: &Context, name: &RecordName) -> Result<Zone>;

    /// The record sets of a zone, those of others included.
    async fn record_sets(
        &self,
        ctx: &Context,
        zone: &Zone,
        filter: RecordFilter,
    ) -> Result<Vec<RecordSet>>;

    /// Makes the record set as it is wanted, and marks it.
    ///
    /// # Behavior
    /// - Ensuring a record set twice changes nothing the second time.
    /// - Every value is kept, and a value that is no longer named is removed.
    /// - A record set without our mark is left untouched unless it is to be adopted.
    ///
    /// # Errors
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before anything is sent, as [`EnsureRecordSet::validate`].
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for a set that is not ours.
    async fn ensure(
        &self,
        ctx: &Context,
        zone: &Zone,
        request: EnsureRecordSet,
    ) -> Result<ChangeRef>;

    /// Removes a record set with its mark.
    ///
    /// # Behavior
    /// - Removing a record set twice is `Ok`.
    /// - A record set that is not ours is not removed.
    async fn remove(
        &self,
        ctx: &Context,
        zone: &Zone,
        request: RemoveRecordSet,
    ) -> Result<ChangeRef>;

    /// Where a change is.
    async fn change_status(&self, ctx: &Context, change: &ChangeRef) -> Result<ChangeStatus>;
}

/// Sugar over any [`DnsRouter`].
#[async_trait]
pub trait DnsRouterExt: DnsRouter {
    /// Waits until every name server of the provider answers with the change.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout), [`Cancelled`](crate::ErrorKind::Cancelled), or what the provider says.
    async fn wait_until_applied(
        &self,
        ctx: &Context,
        change: &ChangeRef,
        poll: Poll,
    ) -> Result<()> {
        poll.run(ctx, "waiting for the DNS change", || async {
            let status = self.change_status(ctx, change).await?;
            Ok((status == ChangeStatus::Applied).then_some(()))
        })
        .await
    }
}

impl<T: DnsRouter + ?Sized> DnsRouterExt for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_before_anything_is_sent() {
        let zone = Zone {
            provider: ProviderId::new("dns").unwrap(),
            id: "z".into(),
            name: HostName::new("example.com").unwrap(),
        };
        let check = |name: &str, record_type, values: &[&str], capability| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let name = RecordName::new(name).unwrap();
            EnsureRecordSet::new(name, record_type, values)
                .validate(&zone, capability)
                .is_ok()
        };
        let plain = DnsCapability::default();
        let apex = DnsCapability {
            apex_cname: true,
            ..plain
        };
        assert!(check(
            "www.example.com",
            RecordType::A,
            &["1.2.3.4", "1.2.3.5"],
            plain
        ));
        assert!(check(
            "example.com",
            RecordType::Aaaa,
            &["2001:db8::1"],
            plain
        ));
        assert!(check(
            "*.example.com",
            RecordType::Cname,
            &["a.b.net."],
            plain
        ));
        assert!(check("example.com", RecordType::Cname, &["a.b.net"], apex));
        assert!(!check(
            "example.com",
            RecordType::Cname,
            &["a.b.net"],
            plain
        ));
        assert!(!check(
            "www.example.com",
            RecordType::Cname,
            &["a.net", "b.net"],
            plain
        ));
        assert!(!check("www.example.com", RecordType::A, &["a.net"], plain));
        assert!(!check("www.example.com", RecordType::A, &[], plain));
        assert!(!check(
            "www.badexample.com",
            RecordType::A,
            &["1.2.3.4"],
            plain
        ));
        assert!(!check("www.example.com", RecordType::Txt, &["a\nb"], plain));
    }
}
