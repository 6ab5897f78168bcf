//! Databases beside an app.

use std::time::Duration;

use devopser_core::id::EnvName;
use devopser_core::model::report::Database;
use devopser_core::model::service::{EnvValue, Environment, SecretRef};
use devopser_core::provider::LogOptions;
use futures::TryStreamExt;

use crate::stage::{Stage, docker, on_stage};

async fn prepare(stage: &Stage, databases: &[Database]) -> Environment {
    let mut request = stage.prepare_request();
    request.databases = databases.to_vec();
    let prepared = stage.deployer().prepare(&stage.ctx, request).await;
    prepared.unwrap().env
}

/// Runs a command as a release with the environment until its log has the text.
async fn run_until(
    stage: &Stage,
    name: &str,
    image: &str,
    command: &str,
    env: &Environment,
    text: &str,
) {
    let dockerfile = format!("FROM {image}\nENTRYPOINT []\nCMD {command}; sleep 600\n");
    let built = stage.build(name, &dockerfile).await.unwrap();
    let mut request = stage.deploy_request(name, &built.image);
    request.env = env.clone();
    let release = stage.deployer().deploy(&stage.ctx, request).await.unwrap();
    let all = LogOptions {
        last: None,
        follow: false,
    };
    let mut told = String::new();
    for _ in 0..100 {
        let lines: Vec<_> = stage
            .control()
            .logs(&stage.ctx, &release, all)
            .try_collect()
            .await
            .unwrap();
        told = lines
            .iter()
            .map(|line| format!("{}\n", line.line))
            .collect();
        if told.contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{text:?} never came: {told}");
}

#[test]
fn postgres_and_redis_are_ready_and_reached_by_the_app() {
    on_stage(|stage| async move {
        let wanted = [
            Database::Redis,
            Database::Postgres,
            Database::Postgres,
            Database::Sqlite,
        ];
        let env = prepare(&stage, &wanted).await;
        let url = env.get(&EnvName::new("DATABASE_URL").unwrap());
        assert!(matches!(url, Some(EnvValue::Secret(_))), "{url:?}");
        let postgres = "psql \"$DATABASE_URL\" -tc \"select 'found ' || (40 + 2)\"";
        run_until(&stage, "pg", "postgres:17", postgres, &env, "found 42").await;
        let redis = "redis-cli -u \"$REDIS_URL\" --no-auth-warning set key value";
        run_until(&stage, "redis", "redis:8", redis, &env, "OK").await;
        let stranger = "redis-cli -h \"$REDIS_HOST\" get key";
        run_until(&stage, "noauth", "redis:8", stranger, &env, "NOAUTH").await;
    });
}

#[test]
fn a_redis_without_a_password_lets_in_whoever_gives_one_or_none() {
    on_stage(|stage| async move {
        let mut request = stage.prepare_request();
        request.databases = vec![Database::Redis];
        request.without_password = vec![Database::Redis];
        let prepared = stage.deployer().prepare(&stage.ctx, request).await;
        let env = prepared.unwrap().env;
        let none = "redis-cli -h \"$REDIS_HOST\" set key without";
        run_until(&stage, "none", "redis:8", none, &env, "OK").await;
        let given = "redis-cli -u \"$REDIS_URL\" --no-auth-warning get key";
        run_until(&stage, "given", "redis:8", given, &env, "without").await;
        // It is still nobody else's.
        let name = format!("{}-redis", stage.service.name);
        assert_eq!(docker(&["port", &name]), "");
    });
}

#[test]
fn a_database_converges_keeps_its_data_and_is_not_published() {
    on_stage(|stage| async move {
        let wanted = [Database::Redis, Database::Postgres];
        let env = prepare(&stage, &wanted).await;
        let write = "psql -tc 'create table t(n int)' && psql -tc 'insert into t values (1)'";
        run_until(&stage, "first", "postgres:17", write, &env, "INSERT 0 1").await;

        // Converges: the same containers, the same data, the same passwords.
        let ids = || {
            docker(&[
                "ps",
                "-aq",
                "--no-trunc",
                "--filter",
                &stage.mark_label(),
                "--filter",
                "label=dev.devopser.role=postgres",
            ])
        };
        let before = ids();
        assert_eq!(prepare(&stage, &wanted).await, env);
        assert_eq!(ids(), before);

        // A container that was removed by hand comes back with its data.
        docker(&["rm", "-f", &before]);
        assert_eq!(prepare(&stage, &wanted).await, env);
        let read = "psql -tc \"select 'found ' || count(*) from t\"";
        run_until(&stage, "again", "postgres:17", read, &env, "found 1").await;

        // Nothing of it is published, and the password of redis is not to be seen.
        let name = format!("{}-redis", stage.service.name);
        assert_eq!(docker(&["port", &name]), "");
        let reference = SecretRef(format!("docker/{}/redis-password", stage.service.name));
        let secret = stage.ctx.vault.get(&reference).await.unwrap();
        assert!(!docker(&["inspect", &name]).contains(secret.expose()));
    });
}

#[test]
fn mariadb_is_ready_and_reached_by_the_app() {
    on_stage(|stage| async move {
        let env = prepare(&stage, &[Database::Mariadb]).await;
        let command = "mariadb -h \"$DB_HOST\" -u \"$DB_USER\" -p\"$DB_PASSWORD\" \"$DB_NAME\" -e \"select concat('forty', 'two')\"";
        run_until(&stage, "db", "mariadb:11", command, &env, "fortytwo").await;
    });
}
