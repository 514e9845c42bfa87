"""Documents that refer to each other become values that hold what they refer to (services, policies, endpoints)."""
