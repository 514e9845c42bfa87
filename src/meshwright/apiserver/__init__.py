"""The object API: Kubernetes' REST conventions over the store, so that kubectl and its like work unmodified.

A shell above `store`. Begin with `api.make_api`; `application.py` has the routes, `server.ApiServer` serves them.
"""
