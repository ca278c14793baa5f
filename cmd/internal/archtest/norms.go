package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// The norms of docs/ARCHITECTURE.md. Lengths are lines, from brace to brace.
const (
	maxFile       = 500
	maxFunc       = 80
	maxFlatCase   = 12 // a case of a switch that may exceed maxFunc as a whole
	maxStruct     = 15 // fields
	maxInterface  = 5  // methods
	maxParameters = 4  // the receiver not counted
	maxNesting    = 3  // blocks inside each other; else if is no deeper than its if
)

// Norms checks one Go file, named rel from the root of the module. Tests and
// generated files have no faults. The error is that of the parser.
func Norms(rel string, source []byte) ([]Fault, error) {
	if strings.HasSuffix(rel, "_test.go") {
		return nil, nil
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, rel, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", rel, err)
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	n := norms{fset: fset, rel: rel}
	if lines := fset.File(file.Pos()).LineCount(); lines > maxFile {
		n.fault(file, "size", "file of %d lines, %d allowed", lines, maxFile)
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			n.function(d)
		case *ast.GenDecl:
			n.declaration(d)
		}
	}
	ast.Inspect(file, n.inside)
	return n.faults, nil
}

// Documented checks that one of a package's files says what the package is.
func Documented(rel string, files []*ast.File) []Fault {
	for _, f := range files {
		if f.Doc != nil {
			return nil
		}
	}
	return []Fault{{"doc", rel, "package without a comment"}}
}

type norms struct {
	fset   *token.FileSet
	rel    string
	faults []Fault
}

func (n *norms) fault(at ast.Node, rule, format string, args ...any) {
	where := fmt.Sprintf("%s:%d", n.rel, n.fset.Position(at.Pos()).Line)
	n.faults = append(n.faults, Fault{rule, where, fmt.Sprintf(format, args...)})
}

func (n *norms) lines(node ast.Node) int {
	return n.fset.Position(node.End()).Line - n.fset.Position(node.Pos()).Line + 1
}

func (n *norms) function(d *ast.FuncDecl) {
	if d.Recv == nil && d.Name.Name == "init" {
		n.fault(d, "state", "init runs before anybody asked")
	}
	if d.Body != nil && n.lines(d.Body) > maxFunc && !n.flat(d.Body) {
		n.fault(d, "size", "%s has %d lines, %d allowed", d.Name.Name, n.lines(d.Body), maxFunc)
	}
	if d.Body != nil {
		n.depth(d.Name.Name, d.Body)
	}
	if d.Doc == nil && d.Name.IsExported() && receiverExported(d) && !saidElsewhere(d) {
		n.fault(d, "doc", "%s is exported and has no comment", d.Name.Name)
	}
}

func (n *norms) depth(name string, body *ast.BlockStmt) {
	if depth := nesting(body); depth > maxNesting {
		n.fault(body, "nesting", "%s nests %d deep, %d allowed", name, depth, maxNesting)
	}
}

// nesting is how many blocks stand inside each other below a node: if, for, switch
// and select. A function literal begins anew, being a function of its own.
func nesting(node ast.Node) int {
	deepest := 0
	ast.Inspect(node, func(inner ast.Node) bool {
		if inner == node {
			return true
		}
		switch x := inner.(type) {
		case *ast.FuncLit:
			return false
		case *ast.IfStmt:
			deepest = max(deepest, 1+nesting(x.Body))
			if x.Else != nil {
				deepest = max(deepest, 1+elseNesting(x.Else))
			}
			return false
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			deepest = max(deepest, 1+nesting(x))
			return false
		}
		return true
	})
	return deepest
}

func elseNesting(branch ast.Stmt) int {
	if again, ok := branch.(*ast.IfStmt); ok {
		deepest := nesting(again.Body)
		if again.Else != nil {
			deepest = max(deepest, elseNesting(again.Else))
		}
		return deepest
	}
	return nesting(branch)
}

// receiverExported says whether a function is one, or a method of an exported type.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch inner := t.(type) {
		case *ast.StarExpr:
			t = inner.X
		case *ast.IndexExpr:
			t = inner.X
		case *ast.IndexListExpr:
			t = inner.X
		case *ast.Ident:
			return inner.IsExported()
		default:
			return true
		}
	}
}

// saidElsewhere says whether a method's contract is the standard library's.
func saidElsewhere(d *ast.FuncDecl) bool {
	switch d.Name.Name {
	case "Error", "String", "GoString", "Unwrap", "Is":
		return d.Recv != nil
	}
	return false
}

// flat says whether a body is long only because it is one switch of short cases
// or one table: what is around that is itself within the norm.
func (n *norms) flat(body *ast.BlockStmt) bool {
	rest := n.lines(body)
	for _, stmt := range body.List {
		if n.flatSwitch(stmt) || isTable(stmt) {
			rest -= n.lines(stmt)
		}
	}
	return rest <= maxFunc/4
}

func (n *norms) flatSwitch(stmt ast.Stmt) bool {
	var cases *ast.BlockStmt
	switch s := stmt.(type) {
	case *ast.SwitchStmt:
		cases = s.Body
	case *ast.TypeSwitchStmt:
		cases = s.Body
	default:
		return false
	}
	for _, c := range cases.List {
		if n.lines(c) > maxFlatCase {
			return false
		}
	}
	return true
}

// isTable says whether a statement returns or assigns composite literals only.
func isTable(stmt ast.Stmt) bool {
	var values []ast.Expr
	switch s := stmt.(type) {
	case *ast.ReturnStmt:
		values = s.Results
	case *ast.AssignStmt:
		values = s.Rhs
	}
	for _, v := range values {
		if u, ok := v.(*ast.UnaryExpr); ok {
			v = u.X
		}
		if _, ok := v.(*ast.CompositeLit); !ok {
			return false
		}
	}
	return len(values) > 0
}

// declaration checks the comments of exported names and what variables hold.
func (n *norms) declaration(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				n.fault(s, "doc", "%s is exported and has no comment", s.Name.Name)
			}
		case *ast.ValueSpec:
			n.values(d, s)
		}
	}
}

func (n *norms) values(d *ast.GenDecl, s *ast.ValueSpec) {
	for i, name := range s.Names {
		if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
			n.fault(name, "doc", "%s is exported and has no comment", name.Name)
		}
		if d.Tok == token.VAR && name.Name != "_" && !isEmbedded(d, s) && holdsState(s, i) {
			n.fault(name, "state", "%s is a variable of the package that only makes sense if it changes", name.Name)
		}
	}
}

// holdsState says whether a package's variable is there to be written: it has no
// value, an empty map, a channel, or is a lock or a counter.
func holdsState(s *ast.ValueSpec, i int) bool {
	if sel, ok := s.Type.(*ast.SelectorExpr); ok {
		if pkg, ok := sel.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") {
			return true
		}
	}
	if len(s.Values) != len(s.Names) {
		return len(s.Values) == 0
	}
	switch v := s.Values[i].(type) {
	case *ast.CallExpr:
		f, ok := v.Fun.(*ast.Ident)
		return ok && (f.Name == "make" || f.Name == "new")
	case *ast.CompositeLit:
		_, isMap := v.Type.(*ast.MapType)
		return isMap && len(v.Elts) == 0
	}
	return false
}

// isEmbedded says whether the compiler fills the variable from a file.
func isEmbedded(d *ast.GenDecl, s *ast.ValueSpec) bool {
	for _, group := range []*ast.CommentGroup{d.Doc, s.Doc} {
		if group == nil {
			continue
		}
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// inside checks what may stand anywhere: types, signatures and hidden exec.
func (n *norms) inside(node ast.Node) bool {
	switch x := node.(type) {
	case *ast.StructType:
		if count := countFields(x.Fields); count > maxStruct {
			n.fault(x, "size", "struct of %d fields, %d allowed", count, maxStruct)
		}
	case *ast.InterfaceType:
		if count := countFields(x.Methods); count > maxInterface {
			n.fault(x, "size", "interface of %d methods, %d allowed", count, maxInterface)
		}
	case *ast.FuncType:
		if count := countFields(x.Params); count > maxParameters {
			n.fault(x, "size", "%d parameters, %d allowed", count, maxParameters)
		}
	case *ast.FuncLit:
		n.depth("function literal", x.Body)
	case *ast.SelectorExpr:
		if isProcessStart(x) && !strings.HasPrefix(n.rel, "hal/run/") {
			n.fault(x, "exec", "starts a process: only hal/run may")
		}
	}
	return true
}

// countFields counts names; an embedded or unnamed one counts as one.
func countFields(list *ast.FieldList) int {
	count := 0
	for _, f := range list.List {
		count += max(1, len(f.Names))
	}
	return count
}

// isProcessStart finds the ways around os/exec, which the import rules cannot see.
func isProcessStart(x *ast.SelectorExpr) bool {
	pkg, ok := x.X.(*ast.Ident)
	if !ok {
		return false
	}
	switch pkg.Name + "." + x.Sel.Name {
	case "os.StartProcess", "syscall.StartProcess", "syscall.ForkExec", "syscall.Exec", "unix.Exec":
		return true
	}
	return false
}
