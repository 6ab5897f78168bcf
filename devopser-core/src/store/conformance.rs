//! Runs the conformance kit on our stores.

use crate::store::{FolderBlobStore, MemoryBlobStore, MemoryStore, SqliteStore};
use crate::testkit::{blobs, store as records, system};

/// One test for each function and store. Of `records` the functions return a result.
macro_rules! conformance {
    (stores: {$($store:ident = $make:expr;)+} records: $records:tt system: $system:tt) => {
        $(mod $store {
            use super::*;
            conformance!(@records $make, $records);
            conformance!(@system $make, $system);
        })+
    };
    (@records $make:expr, [$($name:ident)+]) => {
        $(#[tokio::test]
        async fn $name() {
            let (store, _folder) = $make.await;
            records::$name(&store).await.unwrap();
        })+
        #[tokio::test]
        async fn all() {
            let (store, _folder) = $make.await;
            records::all(&store).await.unwrap();
        }
    };
    (@system $make:expr, [$($name:ident)+]) => {
        $(#[tokio::test]
        async fn $name() {
            let (store, _folder) = $make.await;
            system::$name(&store).await;
        })+
    };
}

conformance! {
    stores: {
    memory = async { (MemoryStore::new(), ()) };
    sqlite = async {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
        (store, folder)
    };
    }
    records: [
        a_record_comes_back_as_it_was_written
        one_of_many_writers_succeeds
        a_lost_write_changes_nothing
        a_revision_is_never_given_twice
        a_removed_record_is_gone
        lists_are_sorted_and_paged
        the_audit_trail_is_only_appended_to
        sequences_have_no_gaps
        events_are_read_by_cursor
        removing_a_deployment_removes_its_events
        tenants_do_not_meet
        any_text_survives
        typed_records_come_back
    ]
    system: [
        the_installation_is_made_once
        the_queue_is_oldest_first_and_not_taken
        enqueue_again_changes_nothing
        a_key_attaches_for_24_hours
        one_key_at_once_makes_one_run
        one_run_of_a_target_is_taken
        the_first_reason_to_cancel_stays
        a_lease_has_one_holder
        a_lease_that_was_given_back_gets_a_new_epoch
        an_old_epoch_is_refused_and_changes_nothing
        a_resource_has_one_row
        a_resource_lives_until_it_is_gone
        resources_are_listed_by_target_oldest_first
        a_port_belongs_to_one_target
        many_reservations_never_share_a_port
        secrets_belong_to_their_tenant
        a_rotation_sees_every_secret_and_replaces_no_newer_one
    ]
}

#[tokio::test]
async fn blobs_in_memory() {
    blobs::all(&MemoryBlobStore::new()).await.unwrap();
}

#[tokio::test]
async fn blobs_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderBlobStore::open(folder.path()).await.unwrap();
    blobs::all(&store).await.unwrap();
}
