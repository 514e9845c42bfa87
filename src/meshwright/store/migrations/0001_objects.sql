-- The one row of counters: the newest revision, the newest that is forgotten, the newest change.
CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    compacted INTEGER NOT NULL,
    change INTEGER NOT NULL
);
INSERT INTO counters VALUES (1, 0, 0, 0);

-- Objects without status, by the revision that wrote them. `replaced`: the revision from which on no version has it.
CREATE TABLE bodies (
    revision INTEGER PRIMARY KEY,
    labels TEXT NOT NULL,
    text TEXT NOT NULL,
    replaced INTEGER
);
CREATE INDEX bodies_replaced ON bodies (replaced) WHERE replaced IS NOT NULL;

-- Statuses, likewise; `owners` maps types of conditions to who keeps them.
CREATE TABLE statuses (
    revision INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    owners TEXT NOT NULL,
    replaced INTEGER
);
CREATE INDEX statuses_replaced ON statuses (replaced) WHERE replaced IS NOT NULL;

-- The event log and all kept states at once: an object's newest version has no `replaced`;
-- a deletion replaces itself. The state at revision R: revision <= R and (replaced is null or replaced > R).
CREATE TABLE versions (
    revision INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    api_group TEXT NOT NULL,
    plural TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    body INTEGER NOT NULL,
    status INTEGER,
    previous INTEGER,
    replaced INTEGER,
    time INTEGER NOT NULL,
    change INTEGER
);
CREATE UNIQUE INDEX versions_newest ON versions (api_group, plural, namespace, name) WHERE replaced IS NULL;
CREATE INDEX versions_replaced ON versions (replaced) WHERE replaced IS NOT NULL;

-- The history that people see.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    time INTEGER NOT NULL,
    author TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE TABLE differences (
    number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    api_group TEXT NOT NULL,
    plural TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    before INTEGER,
    after INTEGER,
    PRIMARY KEY (number, position)
) WITHOUT ROWID;
CREATE INDEX differences_object ON differences (api_group, plural, namespace, name, number);
CREATE INDEX differences_before ON differences (before) WHERE before IS NOT NULL;
CREATE INDEX differences_after ON differences (after) WHERE after IS NOT NULL;
