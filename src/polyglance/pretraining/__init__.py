"""The recipe of the bundled model: from nothing to `scenes-mini`, in five stages."""
