import numpy as np

from invarmr.report.study_figures import Box, Panel, draw_study

RNG = np.random.default_rng(0)


def draw(panels, **settings):
    return draw_study(panels, **{"groups": ("learned", "baselines"), "title": "Bias", **settings})


def panel(count=20, shift=0.0):
    return Panel(
        "Poly 3",
        [
            Box("2SLS(W^)", "learned", RNG.normal(shift, 0.05, count).tolist(), RNG.uniform(size=count).tolist()),
            Box("2SLS(Z)", "baselines", RNG.normal(0.3, 0.01, count).tolist()),
        ],
    )


def test_labels_titles_and_notes_are_text_in_the_picture():
    svg, png = draw([panel(), panel(), panel()], note="20 seeds")
    for text in ("2SLS(W^)", "2SLS(Z)", "Poly 3", "Bias", "20 seeds"):
        assert text in svg
    assert png.startswith(b"\x89PNG")


def test_the_same_numbers_give_the_same_bytes():
    one = [panel()]
    assert draw(one) == draw(one)


def test_points_far_off_are_counted_not_hidden():
    far = Panel("p", [Box("a", "learned", [0.1, 5.0, -7.0])])
    assert "2 beyond" in draw([far])[0]
    assert "beyond" not in draw([panel()])[0]


def test_a_single_replicate_is_a_point():
    assert draw([panel(count=1)])[1]
