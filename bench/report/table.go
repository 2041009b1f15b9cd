package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Column is one thing that a table shows of each contender.
type Column struct {
	Name string
	// Key finds its cells in a row; empty means Name.
	Key  string
	Unit Unit
	// Ratio adds a column with the ratio to the table's first row.
	Ratio bool
}

// CellKey is what finds the cells of the column.
func (c Column) CellKey() string {
	if c.Key != "" {
		return c.Key
	}
	return c.Name
}

// Row is one contender.
type Row struct {
	Name string
	// Failed is why there are no numbers, or fewer of them; "" if all went well.
	Failed string
	// Cells are what the rounds measured, by the key of the column.
	Cells map[string]Samples
}

// Table is medians with their ranges, and ratios to the first row.
type Table struct {
	Title   string
	Note    string // what was done, under the title
	Columns []Column
	Rows    []Row
}

// Markdown writes the table so that it reads well as plain text, too.
func (t Table) Markdown() string {
	head := []string{""}
	for _, c := range t.Columns {
		head = append(head, c.Name)
		if c.Ratio {
			head = append(head, t.ratioName())
		}
	}
	lines := [][]string{head}
	for _, r := range t.Rows {
		lines = append(lines, t.line(r))
	}
	var b strings.Builder
	if t.Title != "" {
		fmt.Fprintf(&b, "### %s\n\n", t.Title)
	}
	if t.Note != "" {
		fmt.Fprintf(&b, "%s\n\n", t.Note)
	}
	writeGrid(&b, lines)
	for _, r := range t.Rows {
		if r.Failed != "" {
			fmt.Fprintf(&b, "\n%s failed: %s\n", r.Name, r.Failed)
		}
	}
	return b.String()
}

// ratioName is short, since there may be several such columns.
func (t Table) ratioName() string {
	if len(t.Rows) == 0 {
		return "ratio"
	}
	return "÷ " + t.Rows[0].Name
}

func (t Table) line(r Row) []string {
	line := []string{r.Name}
	for _, c := range t.Columns {
		s := r.Cells[c.CellKey()]
		text := s.Text(c.Unit)
		if len(s) == 0 && r.Failed != "" {
			text = "failed"
		}
		line = append(line, text)
		if c.Ratio {
			line = append(line, s.Ratio(t.Rows[0].Cells[c.CellKey()]))
		}
	}
	return line
}

// writeGrid pads the columns, the first to the left and the others to the right.
func writeGrid(b *strings.Builder, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("| " + cell + pad + " |")
			} else {
				b.WriteString(" " + pad + cell + " |")
			}
		}
		b.WriteString("\n")
		if n == 0 {
			for i, w := range widths {
				if i == 0 {
					b.WriteString("|" + strings.Repeat("-", w+2) + "|")
				} else {
					b.WriteString(strings.Repeat("-", w+1) + ":|")
				}
			}
			b.WriteString("\n")
		}
	}
}
