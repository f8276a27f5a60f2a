"""The allocators of arXiv 2605.22416 as it evaluated them: parts of ours, in its manner.

A *layer call* asks for pages of one layer. A *unit* of the paper is a page here: a KV page or the
state of one layer of one request. Each habit of the evaluation is an object of its own that is
there or is replaced by what we hold to be right, so that a run with none of them replaced
reproduces the paper, and every replacement shows what the habit did (`docs/validation.md`).
"""
