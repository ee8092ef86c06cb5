"""Image towers in 8-bit integers, computed by OpenVINO."""
