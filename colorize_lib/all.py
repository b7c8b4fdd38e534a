"Everything a user types: `from colorize_lib.all import *`"
from colorize_lib.data import *
from colorize_lib.lab import *
from colorize_lib.losses import *
from colorize_lib.patchgan import *
from colorize_lib.pictures import *
from colorize_lib.results import *
from colorize_lib.samples import *
from colorize_lib.training import *
from colorize_lib.unet import *
from torchvision.models import resnet18, resnet34, resnet50
