//! JVM images: built with the JDK, run on the JRE.

use devopser_core::Result;
use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, tag};
use super::{Plan, hint, no_start, value};

/// A server.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) -> Result<()> {
    let jar = hint(stack, "jar").ok_or_else(|| {
        no_start(
            stack,
            "it is the parent of modules; deploy the folder of the module that makes the program",
        )
    })?;
    let version =
        tag(value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("java")));
    build(stack, plan, &version, jar, lines);
    lines.stage(&plan.image(&format!("eclipse-temurin:{version}-jre")), None);
    let port = plan.port.to_string();
    let mut env = vec![("PORT", port.as_str())];
    env.extend(own_port(stack, &port));
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    lines.env(env).user();
    lines.add("WORKDIR /app").add("COPY --from=build /out/ ./");
    // The settings that its command line names.
    if let Some((_, settings)) = hint(stack, "arguments").and_then(|all| all.split_once(' ')) {
        lines.add(format!("COPY {settings} ./"));
    }
    lines.runs_as("app").add(format!("EXPOSE {port}"));
    lines.bash_health(&plan.health_path());
    let start = if jar.contains("quarkus-app") {
        "java -jar quarkus-run.jar".to_owned()
    } else if is_jar(jar) {
        let arguments = hint(stack, "arguments").map(|arguments| format!(" {arguments}"));
        format!("java -jar app.jar{}", arguments.unwrap_or_default())
    } else {
        format!("./bin/{}", jar.rsplit('/').next().unwrap_or("app"))
    };
    lines.command(&exec(&start));
    Ok(())
}

fn is_jar(path: &str) -> bool {
    path.ends_with(".jar") || path.ends_with(".war")
}

/// The stage that leaves what runs in `/out`.
fn build(stack: &Detection, plan: &Plan<'_>, version: &str, jar: &str, lines: &mut Lines<'_>) {
    let manager = value(stack.package_manager.as_ref()).unwrap_or("maven");
    let build = value(stack.build_command.as_ref()).unwrap_or("mvn -B -DskipTests package");
    let wrapped = build.starts_with("./");
    let builder = match (manager, wrapped) {
        ("maven", false) => format!("maven:3-eclipse-temurin-{version}"),
        ("gradle", false) => format!("gradle:jdk{version}"),
        ("sbt", _) => format!("sbtscala/scala-sbt:eclipse-temurin-{version}"),
        ("lein", _) => "clojure:lein".to_owned(),
        _ => format!("eclipse-temurin:{version}-jdk"),
    };
    lines.stage(&plan.image(&builder), Some("build"));
    lines.add("WORKDIR /src").add("COPY . .");
    let cache = match manager {
        "gradle" => plan.cache("gradle", "/root/.gradle"),
        _ => plan.cache("maven", "/root/.m2"),
    };
    let chmod = if wrapped {
        "chmod +x mvnw gradlew 2>/dev/null; "
    } else {
        ""
    };
    lines.run(&cache, &format!("{chmod}{build}"));
    let collect = if jar.contains("quarkus-app") {
        let folder = jar.rsplit_once('/').map_or(jar, |(folder, _)| folder);
        format!("cp -r {folder}/. /out/")
    } else if is_jar(jar) {
        // A build leaves jars without dependencies beside the one that runs.
        format!(
            "cp \"$(ls -S {jar} | grep -vE -- '-(plain|sources|javadoc|tests)\\.jar$' | head -n 1)\" /out/app.jar"
        )
    } else {
        let folder = jar.split("/bin/").next().unwrap_or(jar);
        format!("cp -r {folder}/. /out/")
    };
    // What the jar's own manifest names beside it.
    let libraries = hint(stack, "libraries").map_or_else(String::new, |folder| {
        let name = folder.rsplit('/').next().unwrap_or(folder);
        format!(" && cp -r {folder} /out/{name}")
    });
    lines.add(format!("RUN mkdir -p /out && {collect}{libraries}"));
}

/// The names under which the frameworks read their port.
fn own_port<'p>(stack: &Detection, port: &'p str) -> Vec<(&'static str, &'p str)> {
    match value(stack.framework.as_ref()) {
        Some("spring-boot") => vec![("SERVER_PORT", port)], // https://docs.spring.io/spring-boot/how-to/webserver.html
        Some("quarkus") => vec![
            ("QUARKUS_HTTP_PORT", port),
            ("QUARKUS_HTTP_HOST", "0.0.0.0"),
        ],
        Some("micronaut") => vec![("MICRONAUT_SERVER_PORT", port)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::MemoryTree;
    use crate::{GenerateOptions, detect, generate};

    #[test]
    fn what_is_no_name_of_a_file_is_not_one() {
        let pom = "<project><artifactId>a</artifactId><packaging>war\nUSER root</packaging><build>\
            <finalName>a\nCOPY --from=other / /</finalName></build></project>";
        let tree = MemoryTree::new([("pom.xml", pom), ("src/main/java/Main.java", "")]);
        let files = generate(&detect(&tree), &GenerateOptions::default()).unwrap();
        assert!(
            files.dockerfile.contains("target/*.jar"),
            "{}",
            files.dockerfile
        );
        for word in ["USER root", "--from=other"] {
            assert!(!files.dockerfile.contains(word), "{}", files.dockerfile);
        }
    }

    #[test]
    fn libraries_that_the_jar_names_come_along() {
        let pom = "<project><artifactId>a</artifactId><build><finalName>words</finalName><plugins><plugin>\
            <artifactId>maven-jar-plugin</artifactId><configuration><archive><manifest><addClasspath>true</addClasspath>\
            <classpathPrefix>dependency/</classpathPrefix></manifest></archive></configuration></plugin></plugins></build></project>";
        let tree = MemoryTree::new([("pom.xml", pom), ("src/main/java/Main.java", "")]);
        let files = generate(&detect(&tree), &GenerateOptions::default()).unwrap();
        assert!(
            files
                .dockerfile
                .contains("cp -r target/dependency /out/dependency"),
            "{}",
            files.dockerfile
        );
    }
}
