"Everything a user types: `from colorize_lib.all import *`"
from colorize_lib.apply.colorizer import *
from colorize_lib.apply.color_video import color_video
from colorize_lib.apply.export import compare_onnx, export_onnx
from colorize_lib.apply.film_looks import read_film_hints
from colorize_lib.apply.film_work import FilmReport
from colorize_lib.apply.films import Film, FilmError
from colorize_lib.apply.hints import *
from colorize_lib.apply.hints_from import hints_from, hints_from_strokes
from colorize_lib.apply.recolor import *
from colorize_lib.apply.video import Look, Steady
from colorize_lib.data import *
from colorize_lib.engine.callbacks import *
from colorize_lib.engine.checkpoints import *
from colorize_lib.engine.dry_run import *
from colorize_lib.engine.files import *
from colorize_lib.engine.learner import *
from colorize_lib.engine.memory import *
from colorize_lib.engine.metrics import *
from colorize_lib.engine.checks import pick_precision
from colorize_lib.engine.speed import *
from colorize_lib.engine.state import *
from colorize_lib.engine.video_metrics import *
from colorize_lib.engine.weights import *
from colorize_lib.experiments.compare import compare
from colorize_lib.experiments.comparison import Comparison, load_comparison
from colorize_lib.experiments.loss_results import loss_results
from colorize_lib.lab import *
from colorize_lib.losses import *
from colorize_lib.networks.classification import *
from colorize_lib.networks.hint_attention import *
from colorize_lib.networks.lite_unet import *
from colorize_lib.networks.pix2pix_unet import *
from colorize_lib.networks.simulated_hints import *
from colorize_lib.patchgan import *
from colorize_lib.photos.cache import *
from colorize_lib.photos.pictures import *
from colorize_lib.photos.samples import *
from colorize_lib.results import *
from colorize_lib.sketch.drawings import *
from colorize_lib.sketch.flowers import JoinDrawings, flower_sheet
from colorize_lib.sketch.illustration import illustrate, lift_colors
from colorize_lib.sketch.line_art import LineArt, line_art
from colorize_lib.sketch.regions import fill_regions, find_regions
from colorize_lib.sketch.sketch import *
from colorize_lib.training import *
from colorize_lib.unet import *
from colorize_lib.widgets.colorize_app import ColorizeApp
from colorize_lib.widgets.lab_explorer import LabExplorer
from colorize_lib.widgets.loss_explorer import LossExplorer
from colorize_lib.widgets.monitor import TrainingMonitor
from colorize_lib.widgets.sketch_pad import SketchPad
from torchvision.models import resnet18, resnet34, resnet50
