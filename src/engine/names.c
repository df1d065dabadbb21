/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/names.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/id.h"

static const char *const left[] = {
    "admiring",      "adoring",   "affectionate", "agitated",   "amazing",       "angry",
    "awesome",       "beautiful", "blissful",     "bold",       "boring",        "brave",
    "busy",          "charming",  "clever",       "cool",       "compassionate", "competent",
    "condescending", "confident", "cranky",       "crazy",      "dazzling",      "determined",
    "distracted",    "dreamy",    "eager",        "ecstatic",   "elastic",       "elated",
    "elegant",       "eloquent",  "epic",         "exciting",   "fervent",       "festive",
    "flamboyant",    "focused",   "friendly",     "frosty",     "funny",         "gallant",
    "gifted",        "goofy",     "gracious",     "great",      "happy",         "hardcore",
    "heuristic",     "hopeful",   "hungry",       "infallible", "inspiring",     "intelligent",
    "interesting",   "jolly",     "jovial",       "keen",       "kind",          "laughing",
    "loving",        "lucid",     "magical",      "modest",     "mystifying",    "musing",
    "naughty",       "nervous",   "nice",         "nifty",      "nostalgic",     "objective",
    "optimistic",    "peaceful",  "pedantic",     "pensive",    "practical",     "priceless",
    "quirky",        "quizzical", "recursing",    "relaxed",    "reverent",      "romantic",
    "sad",           "serene",    "sharp",        "silly",      "sleepy",        "stoic",
    "strange",       "stupefied", "suspicious",   "sweet",      "tender",        "thirsty",
    "trusting",      "unruffled", "upbeat",       "vibrant",    "vigilant",      "vigorous",
    "wizardly",      "wonderful", "xenodochial",  "youthful",   "zealous",       "zen"};

static const char *const right[] = {
    "agnesi",       "albattani",   "allen",         "almeida",      "antonelli",
    "archimedes",   "ardinghelli", "aryabhata",     "austin",       "babbage",
    "banach",       "banzai",      "bardeen",       "bartik",       "bassi",
    "beaver",       "bell",        "benz",          "bhabha",       "bhaskara",
    "black",        "blackburn",   "blackwell",     "bohr",         "booth",
    "borg",         "bose",        "bouman",        "boyd",         "brahmagupta",
    "brattain",     "brown",       "buck",          "burnell",      "cannon",
    "carson",       "cartwright",  "carver",        "cerf",         "chandrasekhar",
    "chatelet",     "chaum",       "cohen",         "colden",       "cori",
    "cray",         "curie",       "curran",        "darwin",       "davinci",
    "dewdney",      "dhawan",      "diffie",        "dijkstra",     "dirac",
    "driscoll",     "dubinsky",    "easley",        "edison",       "einstein",
    "elbakyan",     "elgamal",     "elion",         "ellis",        "engelbart",
    "euclid",       "euler",       "faraday",       "feistel",      "fermat",
    "fermi",        "feynman",     "franklin",      "gagarin",      "galileo",
    "galois",       "ganguly",     "gates",         "gauss",        "germain",
    "goldberg",     "goldstine",   "goldwasser",    "golick",       "goodall",
    "gould",        "greider",     "grothendieck",  "haibt",        "hamilton",
    "haslett",      "hawking",     "heisenberg",    "hellman",      "hermann",
    "herschel",     "hertz",       "heyrovsky",     "hodgkin",      "hofstadter",
    "hoover",       "hopper",      "hugle",         "hypatia",      "ishizaka",
    "jackson",      "jang",        "jemison",       "jennings",     "jepsen",
    "johnson",      "joliot",      "jones",         "kalam",        "kapitsa",
    "kare",         "keldysh",     "keller",        "kepler",       "khayyam",
    "khorana",      "kilby",       "kirch",         "knuth",        "kowalevski",
    "lalande",      "lamarr",      "lamport",       "leakey",       "leavitt",
    "lederberg",    "lehmann",     "lewin",         "lichterman",   "liskov",
    "lovelace",     "lumiere",     "mahavira",      "margulis",     "matsumoto",
    "maxwell",      "mayer",       "mccarthy",      "mcclintock",   "mclaren",
    "mclean",       "mcnulty",     "meitner",       "mendel",       "mendeleev",
    "meninsky",     "merkle",      "mestorf",       "mirzakhani",   "montalcini",
    "moore",        "morse",       "moser",         "murdock",      "napier",
    "nash",         "neumann",     "newton",        "nightingale",  "nobel",
    "noether",      "northcutt",   "noyce",         "panini",       "pare",
    "pascal",       "pasteur",     "payne",         "perlman",      "pike",
    "poincare",     "poitras",     "proskuriakova", "ptolemy",      "raman",
    "ramanujan",    "rhodes",      "ride",          "ritchie",      "robinson",
    "roentgen",     "rosalind",    "rubin",         "saha",         "sammet",
    "sanderson",    "satoshi",     "shamir",        "shannon",      "shaw",
    "shirley",      "shockley",    "shtern",        "sinoussi",     "snyder",
    "solomon",      "spence",      "stonebraker",   "sutherland",   "swanson",
    "swartz",       "swirles",     "taussig",       "tereshkova",   "tesla",
    "tharp",        "thompson",    "torvalds",      "tu",           "turing",
    "varahamihira", "vaughan",     "villani",       "visvesvaraya", "volhard",
    "wescoff",      "wilbur",      "wiles",         "williams",     "williamson",
    "wilson",       "wing",        "wozniak",       "wright",       "wu",
    "yalow",        "yonath",      "zhukovsky"};

bool container_name_is_valid(const char *name) {
    size_t n = strlen(name);

    if (n < 2 || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
            return false;
    return true;
}

char *container_name_random(unsigned attempt) {
    const char *l, *r;

    do {
        l = left[random_u64() % (sizeof left / sizeof *left)];
        r = right[random_u64() % (sizeof right / sizeof *right)];
    } while (strcmp(l, "boring") == 0 && strcmp(r, "wozniak") == 0); /* he is not */
    if (attempt < 3)
        return xasprintf("%s_%s", l, r);
    return xasprintf("%s_%s%u", l, r, (unsigned)(random_u64() % (attempt < 10 ? 10 : 100000)));
}
