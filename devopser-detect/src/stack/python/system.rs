//! Debian packages that requirements need where they are built or run, as their documentation says.

use crate::scan::python::Requirements;

const LDAP: &str = "build:gcc build:libc6-dev build:libldap2-dev build:libsasl2-dev run:libldap2"; // https://www.python-ldap.org/en/latest/installing.html
const MYSQL: &str = "build:gcc build:libc6-dev build:pkg-config build:default-libmysqlclient-dev build:python3-dev run:libmariadb3"; // https://github.com/PyMySQL/mysqlclient#linux
const XMLSEC: &str =
    "build:gcc build:libc6-dev build:pkg-config build:libxmlsec1-dev run:libxmlsec1-openssl"; // https://xmlsec.readthedocs.io/en/stable/install.html
const OPENCV: &str = "run:libgl1 run:libglib2.0-0"; // https://github.com/opencv/opencv-python#installation-and-usage
const FFMPEG: &str = "run:ffmpeg";

/// Requirements, each with `build:…` and `run:…`.
#[rustfmt::skip]
const SYSTEM: &[(&str, &str)] = &[
    ("cairosvg", "run:libcairo2"), // https://cairosvg.org/documentation/
    ("django-auth-ldap", LDAP),
    ("ffmpeg-python", FFMPEG), // https://github.com/kkroening/ffmpeg-python#installing-ffmpeg
    ("flask-mysqldb", MYSQL),
    ("gitpython", "run:git"), // https://gitpython.readthedocs.io/en/stable/intro.html#requirements
    ("graphviz", "run:graphviz"), // https://graphviz.readthedocs.io/en/stable/#installation
    ("gssapi", "build:gcc build:libc6-dev build:libkrb5-dev run:libgssapi-krb5-2"), // https://github.com/pythongssapi/python-gssapi#requirements
    ("mariadb", "build:gcc build:libc6-dev build:libmariadb-dev run:libmariadb3"), // https://mariadb.com/docs/connectors/mariadb-connector-python/install
    ("mysqlclient", MYSQL),
    ("openai-whisper", FFMPEG), // https://github.com/openai/whisper#setup
    ("opencv-contrib-python", OPENCV),
    ("opencv-python", OPENCV),
    ("pdf2image", "run:poppler-utils"), // https://github.com/Belval/pdf2image#how-to-install
    ("pillow-simd", "build:gcc build:libc6-dev build:libjpeg-dev build:zlib1g-dev"),
    ("psycopg", "run:libpq5"), // https://www.psycopg.org/psycopg3/docs/basic/install.html
    ("psycopg2", "build:gcc build:libc6-dev build:libpq-dev build:python3-dev run:libpq5"), // https://www.psycopg.org/docs/install.html
    ("pyaudio", "build:gcc build:libc6-dev build:portaudio19-dev run:libportaudio2"), // https://people.csail.mit.edu/hubert/pyaudio/
    ("pycairo", "build:gcc build:libc6-dev build:pkg-config build:libcairo2-dev run:libcairo2"), // https://pycairo.readthedocs.io/en/latest/getting_started.html
    ("pydub", FFMPEG),         // https://github.com/jiaaro/pydub#dependencies
    ("pygraphviz", "build:gcc build:libc6-dev build:pkg-config build:libgraphviz-dev run:graphviz"), // https://pygraphviz.github.io/documentation/stable/install.html
    ("pyodbc", "run:unixodbc"), // https://github.com/mkleehammer/pyodbc/wiki/Install
    ("pytesseract", "run:tesseract-ocr"), // https://github.com/madmaze/pytesseract#installation
    ("python-ldap", LDAP),
    ("python-magic", "run:libmagic1"), // https://github.com/ahupp/python-magic#installation
    ("python3-saml", XMLSEC),
    ("pyvips", "run:libvips42"), // https://libvips.github.io/pyvips/README.html
    ("pyzbar", "run:libzbar0"),  // https://github.com/NaturalHistoryMuseum/pyzbar#installation
    ("ultralytics", OPENCV),
    ("uwsgi", "build:gcc build:libc6-dev build:python3-dev"), // https://uwsgi-docs.readthedocs.io/en/latest/Install.html
    ("wand", "run:imagemagick"), // https://docs.wand-py.org/en/latest/guide/install.html
    ("weasyprint", "run:libpango-1.0-0 run:libpangoft2-1.0-0 run:libharfbuzz-subset0"), // https://doc.courtbouillon.org/weasyprint/stable/first_steps.html
    ("xmlsec", XMLSEC),
];

/// What the requirements need, and what Django's maps do where it has them
/// (<https://docs.djangoproject.com/en/stable/ref/contrib/gis/install/geolibs/>).
pub(super) fn packages(requirements: &Requirements, has_maps: bool) -> String {
    let mut packages: Vec<&str> = SYSTEM
        .iter()
        .filter(|(name, _)| requirements.has(name))
        .flat_map(|(_, packages)| packages.split(' '))
        .collect();
    let mut all = requirements.all.iter();
    if all.any(|requirement| requirement.name.starts_with("git+")) {
        packages.push("build:git");
    }
    if has_maps {
        packages.extend(["run:binutils", "run:gdal-bin"]);
    }
    packages.sort_unstable();
    packages.dedup();
    packages.join(" ")
}
