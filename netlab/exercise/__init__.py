"""Exercises: the file ``exercise.yaml`` of a lab, its checks, and how far a learner is.  Pure.

Theory of operation.  An exercise is a list of steps.  A step may begin with faults, and has checks: each is a statement
about the running lab, of one of the kinds in ``checks``.  A check asks ``Facts`` for what it needs (the observed state,
verdicts of packets, counts of captured packets) and never runs a command.  ``netlab.learn`` above makes the facts.

A check is only believed if it failed before anything was done: that is its baseline.  ``course`` keeps, step by step,
which checks are true; a step whose checks are all true at once is done and stays done.

No field of the file is a command, and no field may become a part of a command line.
"""
