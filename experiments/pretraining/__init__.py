"""Parts of trainings on the scene world, which the recipe of the bundled model and the experiments share."""
