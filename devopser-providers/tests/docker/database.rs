//! Databases beside an app.

use std::time::Duration;

use devopser_core::model::report::Database;
use devopser_core::model::service::{EnvValue, Environment};
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
        let passwords: Vec<String> = env
            .values()
            .filter_map(|value| match value {
                EnvValue::Secret(name) => Some(name.0.clone()),
                EnvValue::Plain(_) => None,
            })
            .collect();
        assert!(!passwords.is_empty());
        run_until(&stage, "pg", "postgres:17", "psql \"$DATABASE_URL\" -tc 'create table if not exists t(n int); insert into t values (1); ' && psql -tc \"select 'found ' || count(*) from t\"", &env, "found 1").await;
        run_until(
            &stage,
            "redis",
            "redis:8",
            "redis-cli -u \"$REDIS_URL\" --no-auth-warning set key value",
            &env,
            "OK",
        )
        .await;
        run_until(
            &stage,
            "noauth",
            "redis:8",
            "redis-cli -h \"$REDIS_HOST\" get key",
            &env,
            "NOAUTH",
        )
        .await;

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
        run_until(
            &stage,
            "again",
            "postgres:17",
            "psql -tc \"select 'found ' || count(*) from t\"",
            &env,
            "found 1",
        )
        .await;

        // Nothing of it is published, and the password of redis is not to be seen.
        let name = format!("{}-redis", stage.service.name);
        assert_eq!(docker(&["port", &name]), "");
        let secret = stage
            .ctx
            .vault
            .get(&devopser_core::model::service::SecretRef(format!(
                "docker/{}/redis-password",
                stage.service.name
            )))
            .await
            .unwrap();
        assert!(!docker(&["inspect", &name]).contains(secret.expose()));
    });
}

#[test]
fn mariadb_is_ready_and_reached_by_the_app() {
    on_stage(|stage| async move {
        let env = prepare(&stage, &[Database::Mariadb]).await;
        run_until(&stage, "db", "mariadb:11", "mariadb -h \"$DB_HOST\" -u \"$DB_USER\" -p\"$DB_PASSWORD\" \"$DB_NAME\" -e \"select concat('forty', 'two')\"", &env, "fortytwo").await;
    });
}
