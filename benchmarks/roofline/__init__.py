"""A roofline model of the policy graphs: what bytes and arithmetic let a device reach. All it gives are predictions."""
