"""The workshop: a half-day course, made of the exercises that stand in the notebooks.

Nothing of it is written twice. A chapter is a notebook: the kit's own, or one of
`workshop/chapters/` for what has no analysis of its own. Its tags say who gets which cell:

==================================  ============================================================
above the first `## `, `workshop`   learners: what the question is, a worked example
`exercise`                          learners: prose that asks, and code that ends in `check(...)`
`solution`                          solutions: code that ends in the same call, in a raw cell, so
                                    that an analyst who runs all cells runs none; and prose that
                                    learners are told once they have found the answer
`solution`, `hint`                  a list; each wrong answer brings one more
`solution`, `instructor`            for whoever leads the course
`exercise`, `solution`              the cell that calls `begin`: generated, with the language
==================================  ============================================================

Prose stands in `en` and `ja`, as everywhere. `[cjkit] workshop` of a notebook's metadata may hold
its `position` in the course (default: ten times its number) and its `minutes` (default: ten an
exercise). A solution stands on the cells above the first `## ` alone, since `check` runs it on
what those have left: no answer is stored anywhere, and the answers fit any company.

Here stands what a notebook uses; `workshop.course` writes the course.
"""

from cjkit.workshop.checking import begin

__all__ = ["begin"]
