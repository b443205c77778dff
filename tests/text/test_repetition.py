from specsched.text.repetition import copied_share, is_looping, loop_start, repeated_share


def test_text_without_repeats_has_none():
    assert repeated_share(range(30)) == 0
    assert repeated_share([1, 2]) == 0


def test_a_loop_is_seen():
    assert repeated_share([1, 2, 3] * 20) > 0.9
    assert is_looping([*range(10), *[7, 8, 9] * 10])
    assert not is_looping([*range(40), 3, 4, 5, 6, 7])


def test_a_loop_begins_where_nothing_new_is_said():
    assert loop_start(list(range(30))) == 30
    assert loop_start([*range(10), *[7, 8, 9] * 10]) < 25
    assert loop_start([1, 2]) == 2


def test_what_stands_in_the_prompt_is_copied() -> None:
    prompt = list(range(10))
    assert copied_share(prompt, [20, *range(2, 8)]) == 3 / 4
    assert copied_share(prompt, [5, 6, 7]) == 0
