//! Which service of a compose file gets the app's address, and in which order the others are started.

use std::collections::BTreeSet;

use devopser_core::model::report::Finding;

use super::load::finding;
use super::ports::Port;
use super::service::Plain;

/// Names that services which people visit go by, the likeliest first.
const NAMES: &[&str] = &[
    "web", "app", "www", "site", "website", "frontend", "ui", "client", "nginx", "proxy",
    "gateway", "caddy", "traefik", "server", "api", "backend",
];

/// Ports that databases and brokers publish, which nobody visits with a browser.
const NO_PAGES: &[u16] = &[
    1433, 1521, 2181, 3306, 4222, 5432, 5672, 6379, 9042, 9092, 9200, 9300, 11211, 26257, 27017,
];

/// Tools beside an app whose pages are for its makers.
const TOOLS: &[&str] = &[
    "adminer",
    "phpmyadmin",
    "pgadmin4",
    "pgadmin",
    "mongo-express",
    "redis-commander",
    "mailhog",
    "mailpit",
    "maildev",
    "mailcatcher",
    "jaeger",
    "all-in-one",
    "prometheus",
    "grafana",
    "rabbitmq",
    "minio",
    "zipkin",
    "kibana",
    "portainer",
    "redisinsight",
];

/// The service that gets the address, its port, and why.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) index: usize,
    pub(crate) port: Option<Port>,
    pub(crate) why: String,
}

/// Chooses the service. The first rule that leaves one decides:
/// what the caller says; who publishes a port that is no database's and no tool's; of several, who publishes 80 or 443,
/// then whose build context is the root, then who has the likeliest name. Where nobody publishes: who exposes a port,
/// then who is built.
pub(crate) fn choose(
    path: &str,
    services: &[Plain],
    asked: Option<&str>,
) -> Result<Chosen, Finding> {
    let names = || {
        let names: Vec<&str> = services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        names.join(", ")
    };
    if let Some(asked) = asked {
        let index = services.iter().position(|service| service.name == asked);
        return match index {
            Some(index) => Ok(chosen(services, index, "it was asked for".to_owned())),
            None => {
                let reason = format!("there is no service {asked:?}; there are: {}", names());
                Err(finding(path, 1, "service", reason))
            }
        };
    }
    let of = |test: &dyn Fn(&Plain) -> bool| -> Vec<usize> {
        (0..services.len())
            .filter(|index| !services[*index].runs_once && test(&services[*index]))
            .collect()
    };
    let visited = |service: &Plain| !is_tool(service) && service.ports.iter().any(is_page);
    let rounds: [(Vec<usize>, &str); 3] = [
        (of(&visited), "publishes a port"),
        (
            of(&|service| !is_tool(service) && service.exposed.iter().any(is_page)),
            "exposes a port",
        ),
        (of(&|service| service.is_built), "is built from the source"),
    ];
    for (candidates, why) in rounds {
        if candidates.is_empty() {
            continue;
        }
        if let Some((index, more)) = narrowed(services, &candidates) {
            return Ok(chosen(services, index, format!("it {why}{more}")));
        }
        let among: Vec<&str> = candidates
            .iter()
            .map(|index| services[*index].name.as_str())
            .collect();
        let reason = format!(
            "several services could get the address ({}); name one with --service",
            among.join(", ")
        );
        return Err(finding(path, 1, "service", reason));
    }
    let reason = format!(
        "no service publishes a port, so none gets the address; name one with --service ({})",
        names()
    );
    Err(finding(path, 1, "service", reason))
}

fn chosen(services: &[Plain], index: usize, why: String) -> Chosen {
    let service = &services[index];
    let best = |ports: &[Port]| {
        let wanted = [80, 8080, 3000, 8000, 5000];
        let usual = wanted
            .iter()
            .find_map(|wanted| ports.iter().find(|port| port.inside == *wanted));
        usual
            .or_else(|| {
                ports
                    .iter()
                    .find(|port| port.inside != 443 && is_page(port))
            })
            .or_else(|| ports.first())
            .copied()
    };
    // One published port says it; of several, the usual one of the web is taken.
    let port = best(&service.ports).or_else(|| best(&service.exposed));
    Chosen { index, port, why }
}

fn narrowed(services: &[Plain], candidates: &[usize]) -> Option<(usize, String)> {
    if let [only] = candidates {
        return Some((*only, String::new()));
    }
    let one = |test: &dyn Fn(&Plain) -> bool| {
        let mut left = candidates.iter().filter(|index| test(&services[**index]));
        left.next().filter(|_| left.next().is_none()).copied()
    };
    let on_web_port = |service: &Plain| {
        service
            .ports
            .iter()
            .any(|port| matches!(port.published, Some(80 | 443)))
    };
    if let Some(index) = one(&on_web_port) {
        return Some((index, " on the web's own port".to_owned()));
    }
    if let Some(index) = one(&|service| service.is_built && service.context.is_empty()) {
        return Some((index, ", and its build context is the root".to_owned()));
    }
    NAMES.iter().find_map(|name| {
        one(&|service| service.name == *name).map(|index| (index, format!(", and is named {name}")))
    })
}

fn is_page(port: &Port) -> bool {
    !NO_PAGES.contains(&port.inside)
}

fn is_tool(service: &Plain) -> bool {
    !service.is_built && TOOLS.contains(&service.image_name())
}

/// The order in which the services are started, the ones that others depend on first.
pub(crate) fn order(path: &str, services: &[Plain]) -> Result<Vec<usize>, Finding> {
    let mut done = Vec::new();
    let mut left: BTreeSet<usize> = (0..services.len()).collect();
    while !left.is_empty() {
        let ready = left.iter().copied().find(|index| {
            services[*index].depends_on.iter().all(|(name, ..)| {
                done.iter()
                    .any(|done: &usize| services[*done].name == *name)
            })
        });
        let Some(ready) = ready else {
            let names: Vec<&str> = left
                .iter()
                .map(|index| services[*index].name.as_str())
                .collect();
            let line = left.first().map_or(1, |index| services[*index].line);
            let reason = format!("depends_on goes in a circle: {}", names.join(", "));
            return Err(finding(path, line, "unreadable", reason));
        };
        left.remove(&ready);
        done.push(ready);
    }
    Ok(done)
}
