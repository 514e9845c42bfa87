"""A Snapshot becomes encoded Envoy resources per proxy class, with origins and diagnostics. Pure.

Above `model` and `envoyapi`, called by `wiring` and `cli` alone. The one door is `compile.Compiler`; passes run
`resolve`, `visibility`, `envoy` (with `features`), `encode`.
"""
