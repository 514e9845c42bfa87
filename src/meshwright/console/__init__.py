"""The console: what a person sees and changes in a browser. It knows no other shell; it is handed functions.

Begin with `application.application`; `seams.py` is what it is handed, `static/` the page.
"""
