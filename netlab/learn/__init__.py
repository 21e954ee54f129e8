"""Exercises in a running lab: the facts that their checks ask for, the session of a learner, and the progress kept of it.

Theory of operation.  ``session`` builds the lab anew where a part of the exercise begins, makes its faults, and looks
whether every check fails before anything was done.  From then on it looks at the checks of the current step; ``facts``
answers them by netlink, by real packets and by a capture that listens from the beginning of the step.  Nothing here
prints, and nothing of an exercise or of what a learner typed is ever run.
"""
