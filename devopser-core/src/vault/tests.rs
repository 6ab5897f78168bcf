use super::*;
use crate::store::MemoryStore;

const SENTINEL: &str = "sentinel-7f3a-do-not-store";

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn name(text: &str) -> SecretRef {
    SecretRef(text.to_owned())
}

fn vault(store: &Arc<MemoryStore>, keys: &KeyRing, owner: &str) -> StoreVault {
    let store = Arc::<MemoryStore>::clone(store);
    StoreVault::new(store, Arc::new(keys.clone()), tenant(owner))
}

fn fresh() -> (Arc<MemoryStore>, KeyRing, StoreVault) {
    let store = Arc::new(MemoryStore::new());
    let keys = KeyRing::generate().unwrap();
    let vault = vault(&store, &keys, "a");
    (store, keys, vault)
}

async fn put(vault: &StoreVault, at: &str, secret: &str) {
    vault.put(&name(at), &Secret::new(secret)).await.unwrap();
}

async fn get(vault: &StoreVault, at: &str) -> Result<String> {
    let secret = vault.get(&name(at)).await?;
    Ok(secret.expose().to_owned())
}

#[tokio::test]
async fn a_secret_comes_back_for_its_tenant_only() {
    let (store, keys, ours) = fresh();
    for secret in [SENTINEL, "", "é😀\n\0", &"x".repeat(100_000)] {
        put(&ours, "env/A", secret).await;
        assert_eq!(get(&ours, "env/A").await.unwrap(), secret);
    }
    let theirs = vault(&store, &keys, "b");
    let absent = get(&theirs, "env/A").await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert_eq!(ours.names("env/").await.unwrap(), [name("env/A")]);
    assert_eq!(theirs.names("").await.unwrap(), []);
    theirs.remove(&name("env/A")).await.unwrap();
    get(&ours, "env/A").await.unwrap();
    for _ in 0..2 {
        ours.remove(&name("env/A")).await.unwrap();
        let gone = get(&ours, "env/A").await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_bad_name_is_refused() {
    let (_, _, vault) = fresh();
    for bad in ["", "a\nb", "\0", &"x".repeat(513)] {
        let refused = vault.put(&name(bad), &Secret::new("x")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_row_that_was_moved_or_changed_cannot_be_opened() {
    let (store, keys, ours) = fresh();
    put(&ours, "one", SENTINEL).await;
    let sealed = store.secret(&tenant("a"), "one").await.unwrap().unwrap();
    store
        .put_secret(&tenant("a"), "two", &sealed)
        .await
        .unwrap();
    store
        .put_secret(&tenant("b"), "one", &sealed)
        .await
        .unwrap();
    let theirs = vault(&store, &keys, "b");
    for moved in [get(&ours, "two").await, get(&theirs, "one").await] {
        assert_eq!(moved.unwrap_err().kind(), ErrorKind::Unexpected);
    }
    // A secret under another secret's data key.
    put(&ours, "other", "harmless").await;
    let other = store.secret(&tenant("a"), "other").await.unwrap().unwrap();
    let (head, _) = other.rsplit_once('.').unwrap();
    let (_, tail) = sealed.rsplit_once('.').unwrap();
    let mut changed = vec![format!("{head}.{tail}"), String::new(), "v1.x".into()];
    // Every character counts.
    for index in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        changed.push(String::from_utf8(bytes).unwrap());
        changed.push(sealed[..index].to_owned());
    }
    for changed in changed {
        store
            .put_secret(&tenant("a"), "one", &changed)
            .await
            .unwrap();
        let error = get(&ours, "one").await.unwrap_err();
        let kinds = [ErrorKind::Unexpected, ErrorKind::ConfigInvalid];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert!(!format!("{error:?}").contains(SENTINEL));
    }
}

#[tokio::test]
async fn the_same_secret_is_never_sealed_alike() {
    let (store, _, vault) = fresh();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        put(&vault, "one", SENTINEL).await;
        let sealed = store.secret(&tenant("a"), "one").await.unwrap().unwrap();
        assert!(seen.insert(sealed));
    }
}

#[tokio::test]
async fn rotation_wraps_the_data_keys_and_leaves_the_secrets() {
    let (store, old, vault_of_old) = fresh();
    for n in 0..450 {
        put(&vault_of_old, &format!("n{n}"), &format!("{SENTINEL}{n}")).await;
    }
    put(&vault(&store, &old, "b"), "theirs", SENTINEL).await;
    store
        .put_secret(&tenant("b"), "damaged", "v1.x.y.z")
        .await
        .unwrap();
    let before = store.secret(&tenant("a"), "n7").await.unwrap().unwrap();
    let new = old.rotated().unwrap();
    assert_ne!(new.current_id(), old.current_id());

    let done = rotate(&*store, &new).await.unwrap();
    assert_eq!(done.rewrapped, 451);
    assert_eq!(done.failed, [(tenant("b"), "damaged".to_owned())]);
    assert!(!done.is_complete());
    store.remove_secret(&tenant("b"), "damaged").await.unwrap();
    let again = rotate(&*store, &new).await.unwrap();
    assert!(again.is_complete() && again.rewrapped == 0 && again.already_current == 451);

    let after = store.secret(&tenant("a"), "n7").await.unwrap().unwrap();
    let secret = |sealed: &str| sealed.rsplit_once('.').unwrap().1.to_owned();
    assert_eq!(
        secret(&after),
        secret(&before),
        "the secret is left as it is"
    );
    let only_new = vault(&store, &new.only_current(), "a");
    assert_eq!(get(&only_new, "n7").await.unwrap(), format!("{SENTINEL}7"));
    // Who has only the old key cannot read, and is told why.
    let error = get(&vault_of_old, "n7").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert!(error.message().contains(new.current_id()) && error.remedy().is_some());
}

#[test]
fn a_ring_is_not_printed_and_its_ids_are_checked() {
    let ring = KeyRing::from_bytes("k1", [7; 32]).unwrap();
    let ring = ring.with_older("k0", [9; 32]).unwrap();
    assert_eq!(
        format!("{ring:?}"),
        r#"KeyRing { current: "k1", ids: ["k0", "k1"] }"#
    );
    for bad in ["", "a.b", "a b", "é"] {
        assert!(KeyRing::from_bytes(bad, [7; 32]).is_err());
    }
    assert!(ring.with_older("k1", [8; 32]).is_err());
}

#[tokio::test]
async fn processes_that_come_first_agree_on_one_ring() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/keys.json");
    let opened = (0..16).map(|_| KeyRing::open_or_create(&path));
    let rings = futures::future::join_all(opened).await;
    let first = rings[0].as_ref().unwrap();
    for ring in &rings {
        let ring = ring.as_ref().unwrap();
        assert_eq!(ring.current().unwrap(), first.current().unwrap());
    }
    let next = first.rotated().unwrap();
    next.save(&path).await.unwrap();
    let read = KeyRing::open_or_create(&path).await.unwrap();
    assert_eq!(read.current().unwrap(), next.current().unwrap());
    assert_eq!(read.key(first.current_id()), first.key(first.current_id()));
    let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "no temporary file stays");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_is_private_or_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    KeyRing::open_or_create(&path).await.unwrap();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    let made = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(made, 0o600);
    std::fs::set_permissions(&path, mode(0o640)).unwrap();
    let error = KeyRing::open_or_create(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    std::fs::set_permissions(&path, mode(0o600)).unwrap();
    for bad in [
        "",
        "{}",
        r#"{"current":"k","keys":{}}"#,
        r#"{"current":"k","keys":{"k":"QUJD"}}"#,
    ] {
        std::fs::write(&path, bad).unwrap();
        let error = KeyRing::open_or_create(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{bad}");
        assert!(!format!("{error:?}").contains("QUJD"));
    }
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn nothing_in_the_file_is_the_plaintext() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::SqliteStore::open(folder.path().join("store.db"))
        .await
        .unwrap();
    let keys = Arc::new(KeyRing::generate().unwrap());
    let vault = StoreVault::new(Arc::new(store.clone()), keys, tenant("a"));
    for n in 0..20 {
        put(&vault, "env/DATABASE_URL", &format!("{SENTINEL}{n}")).await;
    }
    assert_eq!(
        get(&vault, "env/DATABASE_URL").await.unwrap(),
        format!("{SENTINEL}19")
    );
    assert!(!format!("{vault:?}").contains(SENTINEL));
    let mut read = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        let found = content
            .windows(SENTINEL.len())
            .any(|part| part == SENTINEL.as_bytes());
        assert!(!found);
        let name = b"env/DATABASE_URL";
        read += usize::from(content.windows(name.len()).any(|part| part == name));
    }
    assert!(read > 0, "the row itself is in one of the files");
}
