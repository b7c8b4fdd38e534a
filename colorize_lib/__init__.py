__version__ = "0.1.0"

import warnings

# fastai's imports meet torch's notice about `torch.jit.script`; it is nothing a user of this library can act on
warnings.filterwarnings('ignore', message='`torch.jit.script', category=FutureWarning)
