"""What pruning may change, certified for every input of the domain and not only for a test set."""

from models import classifier, pruned

from lumpnet import Box


def test_pruned_model_is_faithful(lumpnet_audit):
    lumpnet_audit(classifier(), pruned(), domain=Box(0, 1)).assert_within(1e-2)


def test_pruned_model_predicts_the_same_class_near_an_example(lumpnet_audit):
    example = [0.9, 0.1, 0.2, 0.8, 0.5, 0.4]
    near = Box([x - 0.02 for x in example], [x + 0.02 for x in example])
    lumpnet_audit(classifier(), pruned(), domain=near).assert_top1_equal()
