"""What the tab Learn says, by names that looks can replace; every claim with its source beside it."""

from collections.abc import Mapping
from typing import Final

LEARN: Final[Mapping[str, str]] = {
    "learn_about": "Watch the bundled model draw your own words, step by step. Everything below is about "
    "the picture that Show me draws.",
    "learn_examples": "For example:",
    "learn_show": "Show me",
    "learn_first": "Press Show me first.",
    "learn_nothing": "Write what you want to see and press Show me, or click an example. Some seconds "
    "later there is here:",
    "learn_words_short": "the pieces that your prompt is cut into, and the vectors they become",
    "learn_steps_short": "a slider over the steps: what goes into the network, what it expects to come out, "
    "and curves of noise level, variance and entropy",
    "learn_arrows_short": "the prediction with your words and the one without, as arrows",
    "learn_of": "{0} steps of {1}, guidance {2}, seed {3}",
    "learn_more": "More to try with this picture",
    "learn_settings": "Settings",
    "learn_words": "Words become numbers",
    "learn_pieces": "{0} pieces, {1} places of padding after them",
    "learn_embedding": "Each of the {0} places becomes a vector of {1} numbers, of the length (Euclidean "
    "norm) under each piece.",
    "learn_token": "number {0} of the vocabulary, weight {1}, vector of length {2}",
    "learn_words_why": "The text encoder reads pieces, not letters: common words are one, rare ones are "
    "cut up (byte-pair encoding). A beginning and an end are put around the prompt, and padding after it "
    "up to a fixed length, or a multiple of it where the prompt is long. The encoder's last layer "
    "normalises the vectors, so that all have about one length, but for pieces with a weight; what tells "
    "them apart is where they point. At every place of the picture the network then looks up what "
    "concerns it in these vectors: cross-attention.",
    "learn_words_source": "Sennrich et al. 2016, arXiv 1508.07909, Section 3.2; Radford et al. 2021, "
    "arXiv 2103.00020, Section 2.4; Ba et al. 2016, arXiv 1607.06450 (layer normalisation); Rombach et "
    "al. 2022, arXiv 2112.10752, Section 3.3.",
    "learn_steps": "Noise becomes a picture",
    "learn_step": "Step",
    "learn_step_of": "step {0} of {1}",
    "learn_play": "Play",
    "learn_pause": "Stop",
    "learn_channels": "what goes in: the {0} channels of the latent, row by row, blue below zero, orange "
    "above",
    "learn_noisy": "what goes in, seen as a picture",
    "learn_clean": "what the network expects to come out of it",
    "learn_result": "what came out",
    "learn_steps_why": "The network is shown the noisy latent x, times 1/sqrt(1 + sigma²), which brings "
    "it to a variance of about one; from its answer follows what it expects behind the noise: D. A step "
    "goes from x towards D, just so far that the noise that is left is that of the next, lower level "
    "sigma. While there is much noise, D is close to an average of all that could be there, and so is "
    "blurred; large shapes are settled early, details late. The D that is shown is the guided one, see "
    "below. Samplers other than Euler and DDIM do more in a step: they ask again within it, use steps "
    "before it, or add new noise.",
    "learn_steps_source": "Karras et al. 2022, arXiv 2206.00364, Eq. 2 and Appendix B.3 (D as an "
    "average), Algorithms 1 and 2 (steps); Song et al. 2021, arXiv 2010.02502, Eq. 12 (DDIM); Lu et al. "
    "2022, arXiv 2211.01095, Algorithm 2 (steps that use those before); Ho et al. 2020, arXiv "
    "2006.11239, Section 4.3 (large shapes first).",
    "learn_shown_by": "Latents are shown by the small decoder that previews use; the result by the real one.",
    "learn_level": "Noise level sigma before the step (logarithmic)",
    "learn_variance": "Variance of each channel after the step",
    "learn_entropy": "Entropy at most, after the step",
    "learn_entropy_one": "by channel",
    "learn_entropy_all": "channels together",
    "learn_now_sigma": "noise level before and after",
    "learn_now_t": "timestep of the network",
    "learn_now_variance": "variance over the channels, after",
    "learn_now_entropy": "entropy at most, after (nats a dimension)",
    "learn_entropy_why": "Variance and entropy are of the latent times 1/sqrt(1 + sigma²), taken over "
    "its places. Of all distributions of a given variance the normal one has the largest entropy: 1.4189 "
    "nats a dimension at variance one. Drawing begins near that, with noise, and gives entropy up. So "
    "the curves are upper bounds for what spreads like this latent, from the variances of the channels "
    "alone and from their covariance; what it really has lies below.",
    "learn_entropy_source": "Cover and Thomas, Elements of Information Theory, 2nd edition, Theorem "
    "8.6.5; estimated after Misra, Singh and Demchuk 2005, Journal of Multivariate Analysis 92, 324-342.",
    "learn_arrows": "Where guidance leads",
    "learn_arrow_u": "u, without the words",
    "learn_arrow_c": "c, with the words",
    "learn_arrow_g": "guided",
    "learn_length": "{0}: length {1}",
    "learn_angle": "{0}° between with and without",
    "learn_no_arrows": "With a guidance of zero or one, one prediction is all there is.",
    "learn_arrows_why": "The network is asked twice, without the words (u) and with them (c), and the "
    "drawing goes on with u + s (c - u), where s is the guidance, here {0}: from u towards c, and beyond "
    "it where s is above one. The three lie in one plane, which is drawn here, all steps to one scale; "
    "they are what the network expects behind the noise (D), and lengths are Euclidean norms of the "
    "whole latent. Mostly they are farthest apart in the first steps, and come together as the noisy "
    "picture itself tells the network what to draw.",
    "learn_arrows_source": "Ho and Salimans 2022, arXiv 2207.12598, Eq. 6, with s = 1 + w; Castillo et "
    "al. 2023, arXiv 2312.12487 (how they come together).",
    "learn_export": "Take it along",
    "learn_format": "Format",
    "learn_shown": "What is seen on the way",
    "learn_shown_x0": "what the network expects",
    "learn_shown_noisy": "the noisy latent",
    "learn_make": "Make the file",
    "learn_page": "All numbers, as a page of its own",
    "learn_file": "File",
    "learn_begin": "Begin with this picture, at step k of n",
    "learn_begin_step": "Steps that are skipped (k)",
    "learn_begin_prompt": "Drawn instead (empty: the same)",
    "learn_begin_go": "Begin there",
    "learn_before": "the picture",
    "learn_noised": "with the noise that is left after {0} steps",
    "learn_begin_why": "Image to image is the same drawing, begun later: the picture is given as much "
    "noise as is left after k steps, and drawn on from there. Large shapes are settled early, so the "
    "later it begins, the more of the picture is kept. The noise is the one that the picture began with, "
    "so that with the same words about the same comes out: try others.",
    "learn_begin_source": "Meng et al. 2022 (SDEdit), arXiv 2108.01073, Section 3; Ho et al. 2020, arXiv "
    "2006.11239, Section 4.3 (large shapes first).",
    "learn_mix": "Mix two prompts",
    "learn_mix_other": "Mixed with",
    "learn_mix_go": "Mix",
    "learn_share": "{0} % of “{1}”",
    "learn_share_label": "Share of the second prompt",
    "learn_mix_why": "At every step both are predicted, and the predictions averaged with these shares; "
    "the noise is the same each time. At one noise level this follows the geometric mean of the two "
    "distributions, weighted with the shares; over all levels together only nearly so. The tab Edit "
    "mixes as the model likes best: the bundled one gives each prompt most weight in a band of the "
    "picture, which keeps more of both.",
    "learn_mix_source": "Liu et al. 2022, arXiv 2206.01714 (averaging predictions); Du et al. 2023, "
    "arXiv 2302.11552 (why only nearly).",
    "learn_heat": "Where each word acts",
    "learn_heat_go": "Find out",
    "learn_heat_needs": "Attention can be seen in PyTorch alone, which is not wholly installed here. "
    'Run: pip install "sfumato[torch]"',
    "learn_heat_why": "At every place the network shares its attention out among the pieces of the "
    "prompt. What a word got, summed over heads, steps and the layers after the middle, is laid over the "
    "picture: grey where it got least, yellow where it got most. Each word has a scale of its own; the "
    "percentages compare words. It shows where the network looked the word up, and proves nothing about "
    "why.",
    "learn_heat_source": "Tang et al. 2022 (DAAM), arXiv 2210.04885, Section 2.2, which takes all layers.",
    "learn_heat_plain": "the picture",
    "learn_heat_of": "{0}: {1} % of the attention of all words",
    "learn_compare": "Put two side by side",
    "learn_compare_what": "Another",
    "learn_compare_prompt": "prompt",
    "learn_compare_sampler": "sampler",
    "learn_compare_steps": "number of steps",
    "learn_compare_other": "Prompt or number",
    "learn_compare_go": "Compare",
    "learn_way": "How far they are",
    "learn_way_of": "{0} %",
    "learn_differ": "The two pictures differ by {0} of 255 (root of the mean square).",
    "learn_compare_why": "Both begin with the same noise, and all is alike but what you change. Where a "
    "sampler adds no noise on the way, as Euler and DDIM, few steps and many, and different samplers, "
    "follow the same path more or less closely: mostly the composition stays, and details differ.",
    "learn_compare_source": "Song et al. 2021, arXiv 2010.02502, Section 5.2 (another number of steps); "
    "Karras et al. 2022, arXiv 2206.00364, Eq. 1 and Section 3 (samplers of one equation).",
    "learn_schedule": "How much noise at which timestep",
    "learn_terminal": "zero terminal SNR",
    "learn_signal": "picture",
    "learn_noise": "noise",
    "learn_timestep": "timestep",
    "learn_shares": "Factors of picture and noise",
    "learn_ratio": "Signal to noise ratio (logarithmic)",
    "learn_schedule_of": "Factors of picture and noise, over the {0} timesteps of training",
    "learn_schedule_why": "In training the network is shown a picture times one factor plus noise times "
    "another, at a timestep drawn at random. The squares of the two factors add up to one; one square "
    "divided by the other is the signal to noise ratio (SNR).",
    "learn_schedule_off": "As Stable Diffusion was published: at the last timestep the picture still has "
    "a factor of {0} (signal to noise {1}). Drawing begins with none of it, which the network never saw: "
    "its pictures tend to a medium brightness.",
    "learn_schedule_on": "Shifted and scaled so that nothing is left at the last timestep (but 2^-24 of its "
    "variance, so that there is something to divide by). The bundled "
    "model was trained this way, to predict v.",
    "learn_schedule_source": "Ho et al. 2020, arXiv 2006.11239, Eq. 4; Lin et al. 2023, arXiv "
    "2305.08891, Table 1, Section 3.1 and Algorithm 1.",
    "learn_source": "Source: {0}",
    "learn_gallery": "The picture of Show me is in the gallery. What is tried out with it is not; it is "
    "here again when you come back, until Show me draws another.",
}
