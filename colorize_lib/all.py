"Everything a user types: `from colorize_lib.all import *`"
from colorize_lib.ab_bins import *
from colorize_lib.cache import *
from colorize_lib.checkpoints import *
from colorize_lib.colorize_app import ColorizeApp
from colorize_lib.compare import Comparison, compare, load_comparison
from colorize_lib.compile import *
from colorize_lib.colorizer import *
from colorize_lib.data import *
from colorize_lib.drawings import *
from colorize_lib.game import *
from colorize_lib.lab import *
from colorize_lib.lab_explorer import LabExplorer
from colorize_lib.lite_unet import *
from colorize_lib.loss_explorer import LossExplorer
from colorize_lib.loss_results import loss_results
from colorize_lib.losses import *
from colorize_lib.memory import held_memory
from colorize_lib.metrics import *
from colorize_lib.monitor import TrainingMonitor
from colorize_lib.patchgan import *
from colorize_lib.pictures import *
from colorize_lib.pix2pix_unet import *
from colorize_lib.recolor import *
from colorize_lib.results import *
from colorize_lib.samples import *
from colorize_lib.sketch_pad import SketchPad
from colorize_lib.training import *
from colorize_lib.sketch import *
from colorize_lib.unet import *
from colorize_lib.weights import *
from torchvision.models import resnet18, resnet34, resnet50
