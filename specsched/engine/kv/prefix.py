"""Heads of texts that were taken in before: a tree of blocks per tenant, so that equal heads are computed once."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from specsched.engine.kv.base import BLOCK_TOKENS, KeptBlock, RaggedKV
from specsched.engine.kv.window import KVRow

_Tokens = tuple[int, ...]


@dataclass(eq=False, slots=True)
class _Node:
    """One block of a head: what comes before it is its parents'."""

    parent: "_Node | None"
    tokens: _Tokens
    block: KeptBlock | None
    """None at a tenant's root."""
    children: dict[_Tokens, "_Node"] = field(default_factory=dict)


class PrefixCache:
    """Finds and keeps heads. What one tenant brought never serves another.

    A node is used no later than its parent is, so the least recently used one is always a leaf: evicting in order
    of use never leaves a child without its head.
    """

    def __init__(self, kv: RaggedKV, limit_tokens: int) -> None:
        """Begin empty.

        Args:
            kv: Where rows and blocks lie.
            limit_tokens: Most tokens to keep; 0 keeps nothing.
        """
        self._kv = kv
        self._limit_tokens = limit_tokens
        self._roots: dict[str, _Node] = {}
        self._by_use: OrderedDict[_Node, None] = OrderedDict()

    @property
    def tokens(self) -> int:
        """Tokens kept."""
        return len(self._by_use) * BLOCK_TOKENS

    def reuse(self, row: KVRow, tenant: str, tokens: Sequence[int]) -> int:
        """Begin an empty row with the longest known head of `tokens`, its last token left out; returns its length."""
        node = self._roots.get(tenant)
        found: list[_Node] = []
        for block in _blocks(tokens[:-1]):
            node = node.children.get(block) if node is not None else None
            if node is None:
                break
            found.append(node)
        if found:
            self._kv.adopt(row, [node.block for node in found if node.block is not None])
            self._touch(found)
        return row.length

    def learn(self, row: KVRow, tenant: str, tokens: Sequence[int], room_tokens: int) -> None:
        """Keep the whole blocks of what a row has taken in, as far as the room goes.

        Args:
            row: Whose keys and values they are.
            tenant: On whose behalf.
            tokens: The row's, at least as many as are valid.
            room_tokens: Tokens that may be kept at most, beside all rows.
        """
        if min(room_tokens, self._limit_tokens) < BLOCK_TOKENS:
            return self.fit(room_tokens)
        node = self._roots.setdefault(tenant, _Node(None, (), None))
        path: list[_Node] = []
        for number, block in enumerate(_blocks(tokens[: row.length])):
            if block not in node.children:
                node.children[block] = _Node(node, block, self._kv.keep(row, number * BLOCK_TOKENS))
            node = node.children[block]
            path.append(node)
        self._touch(path)
        return self.fit(room_tokens)

    def fit(self, room_tokens: int) -> None:
        """Let go of what was used least recently until the rest fits."""
        while self.tokens > min(max(0, room_tokens), self._limit_tokens):
            node, _ = self._by_use.popitem(last=False)
            assert not node.children, "evicted a head under its tail"
            assert node.parent is not None, "roots are not in order of use"
            assert node.block is not None, "only roots hold no block"
            del node.parent.children[node.tokens]
            self._kv.release(node.block)
        for tenant in [tenant for tenant, root in self._roots.items() if not root.children]:
            del self._roots[tenant]

    def check_integrity(self) -> None:
        """Assert that the trees hold exactly what is in order of use."""
        found: set[_Node] = set()
        waiting = [*self._roots.values()]
        while waiting:
            children = waiting.pop().children.values()
            found.update(children)
            waiting += children
        assert found == set(self._by_use), "a kept block is lost"

    def _touch(self, path: Sequence[_Node]) -> None:
        for node in reversed(path):
            self._by_use[node] = None
            self._by_use.move_to_end(node)


def _blocks(tokens: Sequence[int]) -> Iterator[_Tokens]:
    """Cut into whole blocks; what is left over is left out."""
    for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        yield tuple(tokens[start : start + BLOCK_TOKENS])
