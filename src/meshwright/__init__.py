"""meshwright: a service mesh and its console, with or without Kubernetes."""
