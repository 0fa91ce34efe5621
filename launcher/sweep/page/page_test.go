package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-analyze/charts"

	"arenacap/launcher/sweep"
	"arenacap/launcher/sweep/stats"
	"arenacap/launcher/sweep/verdict"
	"arenacap/launcher/testenv"
)

// result is an invented sweep: cap 1 is slower, and cap 1/core fails once.
func result(latency bool) verdict.Result {
	x := sweep.Experiment{Metrics: slices.Clone(sweep.Metrics[:1]), Load: "load", Rounds: 10, Seed: 42}
	x.Metrics[0].Pattern = `<b>(.*)</b>`
	if latency {
		x.Metrics = append(x.Metrics, sweep.Metrics[1])
		x.Metrics[1].Pattern = "p99"
	}
	r := rand.New(rand.NewPCG(1, 1))
	var runs []sweep.Run
	for i, name := range []string{"off", "1", "2", "4", "1/core", "64"} {
		max := []int{0, 1, 2, 4, 8, 64}[i]
		x.Candidates = append(x.Candidates, sweep.Candidate{Name: name, ArenaMax: max, Default: max == 0})
		if max == 0 {
			max = 128
		}
		for round := range 10 {
			run := sweep.Run{Cap: name, Round: round + 1, Start: time.Unix(1700000000, 0), Values: map[string]float64{"throughput": 23456 + 200*r.NormFloat64(), "latency": 0.0123 + 0.0001*r.NormFloat64()},
				VirtualPeak: uint64(300+64*max) << 20, ResidentPeak: uint64(40+max/4) << 20, Arenas: max, ArenaReserved: uint64(max-1) << 26, CPU: 12}
			if max == 1 {
				run.Values["throughput"] /= 2
			}
			if max == 8 && round == 3 {
				run.Error, run.Tail = "the load ended with status 1", "<script>document.title='hostile'</script>"
			}
			for s := range 60 {
				grown := math.Min(1, float64(s)/20)
				run.Memory = append(run.Memory, sweep.Size{Seconds: float64(s)*0.2 + 0.02, Virtual: uint64(grown * float64(run.VirtualPeak)), Resident: uint64(grown * float64(run.ResidentPeak))})
			}
			runs = append(runs, run)
		}
	}
	return verdict.Judge(x, runs)
}

var about = About{Program: `/usr/sbin/x "<i>&`, Command: "arenacap sweep --metric '<b>(.*)</b>' -- x", Facts: []Fact{{"load", "<u>"}}}

func write(t *testing.T, r verdict.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r, about); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var update = flag.Bool("update", false, "rewrite testdata from the current pages")

// TestGolden compares the page with a golden file, byte by byte. The file has the digest of each plot.
func TestGolden(t *testing.T) {
	for file, latency := range map[string]bool{"testdata/throughput.html": false, "testdata/latency.html": true} {
		page := regexp.MustCompile(`(?s)<svg.*?</svg>`).ReplaceAllStringFunc(write(t, result(latency)), func(svg string) string {
			return fmt.Sprintf("<svg %x>", sha256.Sum256([]byte(svg)))
		})
		if *update {
			if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || page != string(want) {
			t.Errorf("%s, %v:\n%s", file, err, page)
		}
	}
}

func TestSelfContained(t *testing.T) {
	page := write(t, result(true))
	names := regexp.MustCompile(`xmlns(:xlink)?="[^"]*"`) // XML namespaces, which are not loaded
	for _, reference := range regexp.MustCompile(`(?i)\b(src|href)\s*=|url\(|@import|https?:`).FindAllString(names.ReplaceAllString(page, ""), -1) {
		t.Errorf("the page refers to another file: %q", reference)
	}
	for _, bad := range []string{"<script", "<i>", "<u>", "<b>", "rgb(2", "Roboto Medium"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	for _, good := range []string{html.EscapeString(about.Program), html.EscapeString(about.Command), "cap = 2", "1 of 10 runs failed; round 4", "seed 42"} {
		if !strings.Contains(page, html.EscapeString(good)) && !strings.Contains(page, good) && !strings.Contains(html.UnescapeString(page), html.UnescapeString(good)) {
			t.Errorf("%q is not in the page", good)
		}
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	for _, latency := range []bool{false, true} {
		list, err := plots(result(latency))
		if want := map[bool]int{false: 6, true: 7}[latency]; err != nil || len(list) != want {
			t.Fatalf("%d plots, %v", len(list), err)
		}
		for _, p := range list {
			for _, svg := range []string{string(p.Wide), string(p.Narrow)} {
				d := xml.NewDecoder(strings.NewReader(svg))
				for {
					if _, err := d.Token(); errors.Is(err, io.EOF) {
						break
					} else if err != nil {
						t.Fatalf("%s: %v", p.Title, err)
					}
				}
				if !strings.Contains(svg, "var(--c") {
					t.Errorf("%s has no colours", p.Title)
				}
			}
		}
	}
}

// TestPlotsShowWhatDiffers: if all peak virtual sizes have 8 TiB in common, the two plots of these sizes show only the
// rest.
func TestPlotsShowWhatDiffers(t *testing.T) {
	r := result(false)
	for i := range r.Runs {
		r.Runs[i].VirtualPeak += 8 << 40
	}
	list, err := plots(verdict.Judge(r.Experiment, r.Runs))
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"Peak virtual size (VmSize) by cap", "The trade-off"} {
		i := slices.IndexFunc(list, func(p plot) bool { return p.Title == title })
		if p := list[i]; !strings.Contains(p.Note, ", without the 8 TiB that all caps have in common") || strings.Contains(string(p.Wide), "TiB") || !strings.Contains(string(p.Wide), ">4 GiB<") {
			t.Errorf("%s: %s", p.Title, p.Note)
		}
	}
}

func rate(v float64) map[string]float64 { return map[string]float64{"throughput": v} }

// A plot without data is left out, and no number of the page is NaN or infinite.
func TestLittleIsKnown(t *testing.T) {
	x := sweep.Experiment{Metrics: sweep.Metrics[:1], Candidates: []sweep.Candidate{{Name: "1", ArenaMax: 1}, {Name: "2", ArenaMax: 2}}}
	for name, c := range map[string]struct {
		runs  []sweep.Run
		plots int
	}{
		"nothing":        {nil, 0},
		"only failures":  {[]sweep.Run{{Cap: "1", Round: 1, Error: "no"}}, 0},
		"one run":        {[]sweep.Run{{Cap: "1", Round: 1, Values: rate(1)}}, 1},
		"nothing but 0":  {[]sweep.Run{{Cap: "1", Round: 1}, {Cap: "2", Round: 1}}, 1},
		"negative":       {[]sweep.Run{{Cap: "1", Round: 1, Values: rate(-5)}, {Cap: "2", Round: 1, Values: rate(-4)}}, 1},
		"very different": {[]sweep.Run{{Cap: "1", Round: 1, Values: rate(1e-9), VirtualPeak: 1}, {Cap: "2", Round: 1, Values: rate(1e15), VirtualPeak: 1 << 60}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := verdict.Judge(x, c.runs)
			list, err := plots(r)
			if err != nil || len(list) != c.plots {
				t.Errorf("%d plots, want %d; %v", len(list), c.plots, err)
			}
			if page := write(t, r); strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
				t.Error("NaN or Inf is in the page")
			}
		})
	}
}

// TestLastSampleIsDrawn: a line ends with the last sample of its run, also if the run is shorter than the axis, or exactly
// as long, or has one sample only.
func TestLastSampleIsDrawn(t *testing.T) {
	for _, high := range []float64{0.24, 1, 7.5, 1000} { // as floats, 0.24*120/120 is less than 0.24
		for _, seconds := range [][]float64{{high}, {0}, {high / 7, high / 2}, {high / 3, high / 2, high}, {0, high / 1e6}} {
			var sizes []sweep.Size
			for i, s := range seconds {
				sizes = append(sizes, sweep.Size{Seconds: s, Virtual: uint64(i + 1)})
			}
			values := resample(sizes, high, func(s sweep.Size) uint64 { return s.Virtual })
			drawn := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return v == charts.GetNullValue() })
			if count := uint64(len(sizes)); len(drawn) == 0 || drawn[len(drawn)-1] != float64(count) {
				t.Errorf("samples at %v of %g seconds: the values %v", seconds, high, drawn)
			} else if i := slices.Index(values, float64(count)); len(values[i:]) > 1 && values[i+1] != charts.GetNullValue() {
				t.Errorf("samples at %v of %g seconds: the last one is drawn again: %v", seconds, high, drawn)
			}
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		zero      bool
		want      scale
	}{
		{0, 9.5, true, scale{0, 10, 2}}, {900, 1300, false, scale{800, 1400, 100}}, {0, 0, true, scale{0, 1e-9, 2e-10}}, {5, 5, false, scale{4.9, 5.6, 0.1}},
		{1, 24, false, scale{0, 30, 5}}, {-1, 24, false, scale{-5, 30, 5}},
	} {
		s := around(c.low, c.high, 5)
		if c.zero {
			s = fromZero(c.high, 5)
		}
		if s.low > c.low || s.high < c.high || s.step <= 0 || math.Abs(s.low-c.want.low) > c.want.step || c.low >= 0 && s.low < 0 || math.Abs(s.high-c.want.high) > c.want.step {
			t.Errorf("%g to %g: %+v", c.low, c.high, s)
		}
	}
}

// probe inspects the page in a browser: overlapping, cut off or too small text, and loaded resources.
const probe = `<script>
addEventListener('load', () => {
  const shown = e => e.getClientRects().length > 0
  const svgs = [...document.querySelectorAll('svg')].filter(shown)
  const overlaps = []
  let smallest = 99
  for (const svg of svgs) {
    const frame = svg.getBoundingClientRect()
    const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim() && getComputedStyle(t).fill != 'none')
    const boxes = texts.map(t => t.getBoundingClientRect())
    for (let i = 0; i < boxes.length; i++) {
      const a = boxes[i]
      smallest = Math.min(smallest, parseFloat(getComputedStyle(texts[i]).fontSize) * frame.width / svg.viewBox.baseVal.width)
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1) overlaps.push(texts[i].textContent + ' is cut off')
      for (let j = 0; j < i; j++) {
        const b = boxes[j], pad = 3
        if (a.left + 1 < b.right && b.left + 1 < a.right && a.top + pad < b.bottom && b.top + pad < a.bottom) overlaps.push(texts[j].textContent + ' | ' + texts[i].textContent)
      }
    }
  }
  const wide = [...document.querySelectorAll('main > *')].filter(e => e.scrollWidth > e.clientWidth + 1 && !e.classList.contains('table')).length
  const hidden = [...document.querySelectorAll('td')].filter(e => !shown(e) || e.getBoundingClientRect().right > innerWidth || e.scrollWidth > e.clientWidth + 1).length
  top.document.body.setAttribute('data-probe', JSON.stringify({plots: svgs.length, hidden, inner: innerWidth, overlaps, smallest, wide,
    overflow: document.documentElement.scrollWidth - innerWidth, loaded: performance.getEntriesByType('resource').length, title: document.title}))
})
</script>`

type seen struct {
	Plots    int
	Overlaps []string
	Smallest float64
	Wide     int
	Hidden   int // number of invisible table cells
	Inner    int // width of the window in pixels
	Overflow float64
	Loaded   int
	Title    string
}

// TestInBrowser opens the page in a real browser, first wide with the light colours, then narrow with the dark ones. With
// ARENACAP_FULL=1 it also tries the other two combinations. ARENACAP_SCREENSHOTS=FOLDER keeps the screenshots in that folder.
func TestInBrowser(t *testing.T) {
	testenv.Need(t, "chromium")
	page := write(t, result(true))
	dir := t.TempDir()
	small := func(page string) string { // a frame, because the browser's window is at least 500 px wide
		return fmt.Sprintf(`<!doctype html><body style="margin: 0"><iframe style="border: 0" width="400" height="9000" srcdoc="%s"></iframe>`, html.EscapeString(page))
	}
	csp := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`)
	probed := csp.ReplaceAllString(page, probe)
	for name, text := range map[string]string{"wide": page, "wide-probed": probed, "narrow": small(page), "narrow-probed": small(probed)} {
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []struct {
		file       string
		width      int
		dark       bool
		background color.RGBA
	}{
		{"wide", 1010, false, color.RGBA{0xf6, 0xf7, 0xf9, 255}}, {"narrow", 400, true, color.RGBA{0x12, 0x16, 0x1c, 255}},
		{"narrow", 400, false, color.RGBA{0xf6, 0xf7, 0xf9, 255}}, {"wide", 1280, true, color.RGBA{0x12, 0x16, 0x1c, 255}},
	} {
		if i > 1 && !testenv.Full() {
			break
		}
		name := c.file + map[bool]string{false: "-light", true: "-dark"}[c.dark]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := browser{t.TempDir(), max(c.width, 500), c.dark}
			got := b.probe(t, filepath.Join(dir, c.file+"-probed.html"))
			if got.Plots != 7 || len(got.Overlaps) > 0 || got.Smallest < 9 || got.Wide > 0 || got.Hidden > 0 || got.Inner != c.width || got.Overflow > 0 || got.Loaded > 0 || strings.Contains(got.Title, "hostile") {
				t.Errorf("%+v", got)
			}
			b.screenshot(t, filepath.Join(dir, c.file+".html"), name, c.background)
		})
	}
}

type browser struct {
	profile string
	width   int
	dark    bool
}

func (b browser) run(t *testing.T, args ...string) []byte {
	t.Helper()
	scheme := map[bool]int{true: 0, false: 1}[b.dark]
	return testenv.Chromium(t, b.profile, append([]string{fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme), fmt.Sprintf("--window-size=%d,2400", b.width)}, args...)...)
}

func (b browser) probe(t *testing.T, file string) (s seen) {
	t.Helper()
	dom := b.run(t, "--dump-dom", "file://"+file)
	found := regexp.MustCompile(`data-probe="([^"]*)"`).FindSubmatch(dom)
	if found == nil {
		t.Fatalf("the %d bytes from the browser have no result of the probe", len(dom))
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(found[1]))), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// screenshot checks for the background colour of the scheme and for the colour of the advised cap.
func (b browser) screenshot(t *testing.T, file, name string, background color.RGBA) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "shot.png")
	if keep := os.Getenv("ARENACAP_SCREENSHOTS"); keep != "" {
		out = filepath.Join(keep, name+".png")
	}
	b.run(t, "--screenshot="+out, "file://"+file)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	mark := color.RGBA{0xd9, 0x48, 0x0f, 255}
	if b.dark {
		mark = color.RGBA{0xff, 0x8a, 0x4c, 255}
	}
	if img.Bounds().Dx() != b.width || color.RGBAModel.Convert(img.At(2, 2)) != background || count(img, mark) < 200 {
		t.Errorf("%s px wide, background %v, %d pixels of the mark", strconv.Itoa(img.Bounds().Dx()), img.At(2, 2), count(img, mark))
	}
}

func count(img image.Image, want color.RGBA) (n int) {
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			if color.RGBAModel.Convert(img.At(x, y)) == want {
				n++
			}
		}
	}
	return n
}

// Labels that would overlap are merged into one, at the middle dot.
func TestTogether(t *testing.T) {
	x, y := sizeAxis{scale: scale{0, 1000, 100}}, scale{0, 100, 10}
	for name, c := range map[string]struct {
		sizes  []uint64
		speeds []float64
		want   string
	}{
		"far apart":            {[]uint64{900, 100, 500}, []float64{50, 50, 50}, "off|1|2"},
		"all in one place":     {[]uint64{500, 500, 500}, []float64{50, 50, 50}, "|off, 1, 2|"},
		"two of them":          {[]uint64{900, 100, 110}, []float64{50, 50, 50}, "off||1, 2"},
		"one above the other":  {[]uint64{500, 500, 500}, []float64{20, 50, 80}, "off|1|2"},
		"a chain":              {[]uint64{140, 100, 120}, []float64{50, 50, 50}, "||1, 2, off"},
		"one between two more": {[]uint64{500, 520, 510}, []float64{50, 50, 80}, "|off, 1|2"},
	} {
		var shown []verdict.Outcome
		for i, name := range []string{"off", "1", "2"} {
			shown = append(shown, verdict.Outcome{Candidate: sweep.Candidate{Name: name}, VirtualPeak: c.sizes[i], Measures: []verdict.Measure{{Interval: stats.Interval{Median: c.speeds[i]}}}})
		}
		if got := strings.Join(mergeLabels(shown, x, y, wide), "|"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
