"""The items nearest to what a shopper asks for, from catalogues of thousands to ten million."""

from endcap.serving.retrieval.approximate import ApproximateRetriever
from endcap.serving.retrieval.exact import ExactRetriever
from endcap.serving.retrieval.opened import open_retriever
from endcap.serving.retrieval.retriever import Found, Retriever
from endcap.serving.retrieval.table import ItemTable, open_table

__all__ = [
    "ApproximateRetriever",
    "ExactRetriever",
    "Found",
    "ItemTable",
    "Retriever",
    "open_retriever",
    "open_table",
]
