//! Removal: what carries our mark goes, and its ledger row leaves when the engine says that it is gone.

use std::time::Duration;

use devopser_core::context::Context;
use devopser_core::model::artifact::Artifact;
use devopser_core::model::resource::OWNER_LABEL;
use devopser_core::model::service::{ReleaseRef, ServiceRef};
use devopser_core::{Error, ErrorKind, Result};

use super::model::{Labels, Listed};
use super::{Docker, ID, database, names};

/// How long an app may take to end before it is ended.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

impl Docker {
    /// Removes what runs of a release.
    pub(crate) async fn destroy_release(&self, ctx: &Context, release: &ReleaseRef) -> Result<()> {
        if let Some(facts) = self.owned_container(ctx, release).await? {
            self.engine.stop_container(ctx, &facts.id, GRACE).await?;
            self.engine.remove_container(ctx, &facts.id).await?;
        }
        self.strike_row(ctx, "container", &release.name).await
    }

    /// Removes an image, unless a container of anybody still uses it.
    pub(crate) async fn destroy_artifact(
        &self,
        ctx: &Context,
        service: &ServiceRef,
        artifact: &Artifact,
    ) -> Result<()> {
        let Artifact::Image(image) = artifact else {
            return Ok(());
        };
        let mark = names::mark(&ctx.owner, &service.target);
        let reference = image.reference.as_str();
        let tagged = self.engine.image(ctx, reference).await?;
        let is_tagged = match &tagged {
            Some(found) => found.id == image.digest,
            None => false,
        };
        let name = if is_tagged {
            reference
        } else {
            image.digest.as_str()
        };
        let found = match tagged.filter(|_| is_tagged) {
            Some(found) => Some(found),
            // Built anew under the same name: the older image lost its tag, and goes unless another tag holds it.
            None => self
                .engine
                .image(ctx, name)
                .await?
                .filter(|found| found.tags.is_empty()),
        };
        if found.is_some_and(|found| names::mark_of(&found.labels) == Some(&mark)) {
            match self.engine.remove_image(ctx, name).await {
                Err(error) if error.kind() == ErrorKind::Conflict => return Ok(()),
                result => result?,
            }
        }
        if self.engine.image(ctx, reference).await?.is_none() {
            self.strike_row(ctx, "image", reference).await?;
        }
        Ok(())
    }

    /// Removes everything of a service. What fails stays in the ledger; the first failure is returned when the rest is done.
    pub(crate) async fn destroy_service(&self, ctx: &Context, service: &ServiceRef) -> Result<()> {
        let mark = names::mark(&ctx.owner, &service.target);
        let mut first = None;
        for kind in names::KINDS {
            for thing in self.things(ctx, kind, &mark).await? {
                if let Err(error) = self.remove_thing(ctx, kind, &thing).await {
                    if error.kind() == ErrorKind::Cancelled {
                        return Err(error);
                    }
                    self.note_failure(ctx, kind, &thing.name, &error).await?;
                    first.get_or_insert(error);
                }
            }
            self.strike_absent_rows(ctx, kind, &mark).await?;
        }
        if let Some(error) = first {
            return Err(error.with_provider(ID));
        }
        for database in database::ALL {
            for secret in database::secret_names(&service.name, database) {
                ctx.vault.remove(&secret).await?;
            }
        }
        Ok(())
    }

    /// Everything of a kind that carries the mark.
    pub(crate) async fn things(
        &self,
        ctx: &Context,
        kind: &str,
        mark: &str,
    ) -> Result<Vec<Listed>> {
        let label = format!("{OWNER_LABEL}={mark}");
        self.labelled(ctx, kind, &label).await
    }

    /// Everything of a kind with the label (`name` or `name=value`).
    pub(crate) async fn labelled(
        &self,
        ctx: &Context,
        kind: &str,
        label: &str,
    ) -> Result<Vec<Listed>> {
        match kind {
            // The owner mark alone may come from the image of a container that somebody else runs.
            "container" => {
                let labels = [label.to_owned(), names::ROLE_LABEL.to_owned()];
                self.engine.containers(ctx, &labels).await
            }
            "network" => self.engine.networks(ctx, label).await,
            "volume" => self.engine.volumes(ctx, label).await,
            "image" => self.engine.images(ctx, label).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Removes a thing that was found by its mark.
    pub(crate) async fn remove_thing(
        &self,
        ctx: &Context,
        kind: &str,
        thing: &Listed,
    ) -> Result<()> {
        match kind {
            "container" => self.engine.remove_container(ctx, &thing.id).await,
            "network" => self.engine.remove_network(ctx, &thing.id).await,
            "volume" => self.engine.remove_volume(ctx, &thing.name).await,
            "image" => self.engine.remove_image(ctx, &thing.name).await,
            _ => Ok(()),
        }
    }

    /// What the engine knows under a name: its id and labels.
    pub(crate) async fn find(
        &self,
        ctx: &Context,
        kind: &str,
        name: &str,
    ) -> Result<Option<(String, Labels)>> {
        Ok(match kind {
            "container" => self
                .engine
                .container(ctx, name)
                .await?
                .filter(|facts| facts.labels.contains_key(names::ROLE_LABEL))
                .map(|facts| (facts.id, facts.labels)),
            "network" => self
                .engine
                .network(ctx, name)
                .await?
                .map(|found| (found.id, found.labels)),
            "volume" => self
                .engine
                .volume(ctx, name)
                .await?
                .map(|found| (found.id, found.labels)),
            "image" => self
                .engine
                .image(ctx, name)
                .await?
                .map(|found| (found.id.to_string(), found.labels)),
            _ => None,
        })
    }

    /// Takes the row of a thing out, once the engine does not know the thing any more.
    pub(crate) async fn strike_row(&self, ctx: &Context, kind: &str, name: &str) -> Result<()> {
        for row in ctx.ledger.list().await? {
            if row.intent.provider == self.id && row.intent.kind == kind && row.intent.name == name
            {
                ctx.ledger.gone(&row.id).await?;
            }
        }
        Ok(())
    }

    /// Takes out every row of a kind whose thing is gone, or is of somebody else.
    async fn strike_absent_rows(&self, ctx: &Context, kind: &str, mark: &str) -> Result<()> {
        for row in ctx.ledger.list().await? {
            if row.intent.provider != self.id || row.intent.kind != kind {
                continue;
            }
            let found = self.find(ctx, kind, &row.intent.name).await?;
            if found.is_none_or(|(_, labels)| names::mark_of(&labels) != Some(mark)) {
                ctx.ledger.gone(&row.id).await?;
            }
        }
        Ok(())
    }

    async fn note_failure(
        &self,
        ctx: &Context,
        kind: &str,
        name: &str,
        error: &Error,
    ) -> Result<()> {
        for row in ctx.ledger.list().await? {
            if row.intent.provider == self.id && row.intent.kind == kind && row.intent.name == name
            {
                ctx.ledger.failed(&row.id, &error.to_string()).await?;
            }
        }
        Ok(())
    }
}
