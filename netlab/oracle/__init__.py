"""The predicted result of a flow with the policy or Service that decides; comparison and drawing of results.

Theory of operation
-------------------
A :class:`Flow` is one question: may this source talk to that address, port and protocol?  Two answerers give verdicts
on the same flows: ``predict`` reads the cluster, ``netlab.observe.probe`` sends packets.  ``flows`` lists the questions
of a cluster, ``selectors`` finds the ends that a text such as ``shop/app=web`` means, ``expect`` reads what a lab's
author expects, ``compare`` lays the three answers side by side, ``matrix`` draws them.

Flows are plain tuples of texts and numbers: a lab of a thousand Pods has a million of them, so they are made lazily,
source by source, and their ends are shared.

Limits
------
Policies are NetworkPolicy v1 (``policy``: the verdict and its reasons; ``denials``: where a packet ends, and the evidence
that it did).  The policy API's tiers are read and not judged.
"""

from __future__ import annotations

from netlab.oracle.flow import Answerer, Endpoint, Flow, Outcome, Verdict
from netlab.oracle.flows import flows
from netlab.oracle.predict import Predictor

__all__ = ["Answerer", "Endpoint", "Flow", "Outcome", "Predictor", "Verdict", "flows"]
