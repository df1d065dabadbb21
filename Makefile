# A thin front of meson: `make`, `make check`, `make install DESTDIR= PREFIX=`.
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build/rel
MESON_FLAGS ?=

.PHONY: all check unit integration techniques fuzz lint bench soak install clean format

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	tools/deps
	meson setup $(BUILD) --prefix=$(PREFIX) -Dbuildtype=release -Doptimization=2 $(MESON_FLAGS)

check:
	./check

unit integration techniques fuzz lint bench soak:
	./check $@

install: all
	meson configure $(BUILD) --prefix=$(PREFIX)
	DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet

format:
	tools/lint --fix

clean:
	rm -rf build
