"""The mean of the weights of several trainings of one network, with stronger colours if wanted

    python -m benchmarks.mean_weights a/generator.safetensors b/generator.safetensors -o mean.safetensors
    python -m benchmarks.mean_weights mean.safetensors --factor 1.02 -o stronger.safetensors

Trainings that began at the same weights end near enough to each other for their mean to be a good network, too
(Wortsman et al. 2022, "Model soups"). It costs no time in use."""
import argparse

import torch

from benchmarks.photo_model import stronger
from colorize_lib.engine.weights import load_weights, save_weights


@torch.no_grad()
def mean_of(nets):
    "The first network, with the mean of all in it"
    states = [o.state_dict() for o in nets]
    mean = {k: sum(o[k] for o in states)/len(states) if v.is_floating_point() else v for k, v in states[0].items()}
    nets[0].load_state_dict(mean)
    return nets[0]


def main(argv=None):
    parser = argparse.ArgumentParser('benchmarks.mean_weights', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights', nargs='+', help='files of one kind of network')
    parser.add_argument('--factor', type=float, default=1., help='on the colours')
    parser.add_argument('-o', '--out', required=True, help='file to write')
    args = parser.parse_args(argv)
    nets, configs = zip(*map(load_weights, args.weights))
    if any(o != configs[0] for o in configs): parser.error('these are different networks')
    print(save_weights(stronger(mean_of(nets), args.factor), args.out, configs[0]))


if __name__ == '__main__': main()
