"""Before anything is imported: every signature of the package that names a shape is checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook("polyglance", "beartype.beartype")
