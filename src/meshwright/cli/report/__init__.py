"""What `meshwright bug-report` collects, how it is made harmless, and how it is packed.

Begin with `collecting.py`, which lists the parts; they put what they find into a `draft.Draft`, and that puts it into
an archive, everything through `scrubbing.Scrubber`, which takes out what gives access to something.
"""
