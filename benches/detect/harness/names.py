"""One spelling for what each detector calls by its own name."""

RUNTIMES = {
    "node": ("nodejs", "javascript", "typescript"),
    "go": ("golang",),
    "java": ("jvm", "kotlin", "scala", "clojure"),
    "dotnet": (".net", "csharp", "c#", "fsharp"),
    "elixir": ("erlang",),
    "static": ("staticfile", "html"),
}
FRAMEWORKS = {
    "next": ("nextjs", "next.js"),
    "nuxt": ("nuxtjs", "nuxt.js", "nuxt3"),
    "nest": ("nestjs",),
    "remix": ("remixrun",),
    "sveltekit": ("svelte-kit", "sveltekit-1"),
    "cra": ("create-react-app", "ionic-react"),
    "vue-cli": ("vue", "vuecli"),
    "angular": ("ionic-angular",),
    "docusaurus": ("docusaurus-2", "docusaurus-v2"),
    "solid-start": ("solidstart", "solidstart-1"),
    "tanstack-start": ("tanstackstart", "tanstack-start-lovable"),
    "eleventy": ("11ty",),
    "hexo": ("hexojs",),
    "hono": ("honojs",),
    "elysia": ("elysiajs",),
    "blitz": ("blitzjs",),
    "redwood": ("redwoodjs",),
    "umi": ("umijs",),
    "payload": ("payloadcms",),
    "actix": ("actix-web",),
    "aspnetcore": ("aspnet", "asp.net"),
    "spring-boot": ("spring", "springboot"),
    "phoenix": ("phoenixframework",),
}
PACKAGE_MANAGERS = {
    "bun": ("bunsh",),
    "yarn": ("yarn1", "yarn-berry", "berry"),
    "bundler": ("bundle",),
    "gomod": ("go", "gomodules"),
    "maven": ("mvn",),
    "nuget": ("dotnet",),
    "mix": ("hex",),
    "composer": ("phpcomposer",),
}
DATABASES = {"postgres": ("postgresql",), "mysql": ("mariadb",), "mongo": ("mongodb",)}


def _table(names):
    return {alias: name for name, aliases in names.items() for alias in aliases}


_TABLES = {
    "runtime": _table(RUNTIMES),
    "framework": _table(FRAMEWORKS),
    "package_manager": _table(PACKAGE_MANAGERS),
    "databases": _table(DATABASES),
}


def canonical(field, value):
    """The common name of a value of a field; None stays None."""
    if value is None:
        return None
    name = str(value).strip().lower()
    return _TABLES[field].get(name, name)
