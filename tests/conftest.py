"""Before anything is imported: every signature of the package that names a shape is checked while the tests run."""

from jaxtyping import install_import_hook

import tests.shape_checks

install_import_hook("polyglance", f"{tests.shape_checks.__name__}.checked")
