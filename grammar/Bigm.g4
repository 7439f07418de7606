// The grammar of the bigm language. docs/language.md is the reference for people.
//
// Newlines do not matter, with one exception that a grammar cannot see: a `(` or `[` that stands first on its line begins
// a value of its own and never continues the line before. The token filter (frontend/parse) tells the two apart: a bracket
// that begins a value is a ValueParen or ValueBracket, one that can only call or index is a plain one, and a minus that
// has no left operand is a Sign. So hardly a decision needs more than one token, which is what makes parsing fast. The
// filter also marks the brace of `label{cat, dog}` (written without a space) as TightBrace, so that `-> label { ... }` can
// be a body.
//
// The ten words that begin declarations and those of expressions are reserved. Words of clauses (`from`, `loss`, ...) are
// not: they are names wherever a clause cannot begin. After a dot and before a colon every word is a name.
grammar Bigm;

tokens { ValueParen, ValueBracket, Sign, TightBrace }

// One declaration is parsed at a time, so that an error in one does not hide those of the next.
oneDeclaration : declaration EOF ;

declaration
  : 'use' module (',' module)*                                                 # useDeclaration
  | 'const' name (':' type)? '=' expr                                          # constDeclaration
  | 'data' name clauses                                                        # dataDeclaration
  | 'fit' name ('=' expr | signature block)                                    # fitDeclaration
  | kind=('model' | 'fn' | 'flow') name signature block                        # callableDeclaration
  | 'model' name ('=' expr ('from' expr renames?)? | 'from' expr renames?)     # instanceDeclaration
  | 'train' name ('=' expr)? 'on' exprs clauses                                # trainDeclaration
  | 'evaluate' exprs 'on' expr clauses                                         # evaluateDeclaration
  | 'deploy' name ('=' expr)? clauses                                          # deployDeclaration
  ;

module : word ('.' word)* ;

// How the names of a weights file turn into those of the model: `{ "gamma" -> "weight" }`.
renames    : '{' (expr ','?)* '}' ;

signature  : parameters parameters? ('->' type)? ;
parameters : ('(' | ValueParen) (parameter (',' parameter)* ','?)? ')' ;
parameter  : name ':' type ('=' expr)? ;

// ------------------------------------------------------------------------------------------------------------ clauses
clauses : '{' clause* '}' ;

clause
  : keyword=('from' | 'test' | 'valid' | 'loss' | 'batch' | 'epochs' | 'steps' | 'seed' | 'lr' | 'clip' | 'accumulate' | 'ema' | 'serve' | 'weights'
      | 'cache' | 'freeze' | 'learn' | 'validate' | 'require') exprs                        # plainClause
  | 'optimize' optimizer (',' optimizer)*                                       # optimizeClause
  | 'fields' '{' (dataField ','?)* '}'                                            # fieldsClause
  | 'split' record ('seed' expr | 'in' name)?                                  # splitClause
  | 'derive' name (':' type)? '=' expr                                         # deriveClause
  | 'augment' word block                                                       # augmentClause
  | 'bucket' 'by' expr                                                         # bucketClause
  | 'start' 'from' expr ('if' 'present')?                                      # startClause
  | 'stop' 'when' expr ('flat' 'for' expr)?                                    # stopClause
  | 'phase' name clauses                                                       # phaseClause
  | 'report' entry (',' entry)*                                                # reportClause
  | 'fit' name '=' expr                                                        # fitClause
  | 'target' target (',' target)*                                              # targetClause
  | 'precision' precision (',' precision)*                                     # precisionClause
  | assignment                                                                 # letClause
  ;

optimizer : expr ('{' ('learn' exprs)* '}')? ;
entry     : (name '=')? expr ;
target    : name (':' targetPart ('-' targetPart)*)? ;
targetPart : name | NUMBER ;
precision : name ('{' precisionOption* '}')? ;
precisionOption : ('keep' | 'calibrate') exprs ;

// --------------------------------------------------------------------------------------------------------- statements
block : '{' statement* '}' ;

statement
  : assignment                                                                 # assignmentStatement
  | kind=('param' | 'state') name ':' type ('=' expr)?                         # parameterStatement
  | 'yield' expr                                                               # yieldStatement
  | result                                                                     # resultStatement
  ;

assignment : name ('[' name (',' name)* ']')? (':' type)? '=' expr ;

// -------------------------------------------------------------------------------------------------------- expressions
exprs : expr (',' expr)* ;

// An expression is a flat list here; the tree builder knows how tightly each operator binds. From tightest to loosest:
// suffixes, `^` (groups to the right), sign, `* /`, `+ -`, comparisons, `not`, `and`, `or`, `each`, `|>`, `->`.
expr : operand link* ;

// A line that is a value of its own: it begins with nothing that could continue the line before.
result : ('not' | Sign)* primary link* ;

operand : ('not' | Sign | '-')* (primary | parenthesized | list) ;

link
  : '.' word                                                                   # member
  | '(' (argument (',' argument)* ','?)? ')'                                   # call
  | '[' (item (',' item)* ','?)? ']'                                           # index
  | op=('^' | '*' | '/' | '+' | '-' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'and' | 'or' | '|>' | '->') operand
                                                                               # binary
  | 'each' operand?                                                            # each
  ;

argument
  : word ':' expr                                                              # namedArgument
  | name ('.' word)+ ':' expr                                                  # dottedArgument
  | expr                                                                       # plainArgument
  ;

item
  : ':'                                                                        # allItem
  | first=expr ('..' last=expr?)?                                              # exprItem
  | '..' last=expr?                                                            # headItem
  ;

primary
  : NUMBER                                                                     # number
  | STRING                                                                     # string
  | name                                                                       # reference
  | ValueParen expr ')'                                                        # valueParenthesized
  | ValueBracket (expr (',' expr)* ','?)? ']'                                  # valueList
  | record                                                                     # recordValue
  | 'when' expr block ('else' 'when' expr block)* ('else' last=block)?         # when
  | 'repeat' (expr | 'until' until=expr) block                                 # repeat
  | 'for' name 'in' expr block                                                 # for
  | 'scan' row (',' row)* ('over' over=expr)? ('reverse' reverse=expr)? 'from' start (',' start)* block
                                                                               # scan
  ;

row   : name 'in' expr ;
start : name '=' expr ;

// Behind the word of a clause (`loss (a + b) * c`) a bracket looks as if it called that word.
parenthesized : '(' expr ')' ;
list          : '[' (expr (',' expr)* ','?)? ']' ;

record      : '{' (recordField ','?)* '}' ;
recordField : word (':' expr)? ;   // `{ a }` is `{ a: a }`

// -------------------------------------------------------------------------------------------------------------- types
type : baseType '?'? ;

baseType
  : 'stream' baseType                                                          # streamType
  | 'list' '<' type '>'                                                        # listType
  | '{' (dataField ','?)* '}'                                                  # recordType
  | ID (TightBrace className (',' className)* ','? '}')? ('@' NUMBER)? (dims dims?)?    # namedType
  ;

className : word | STRING | NUMBER ;

field : word ':' type ;
dataField : field ('=' expr)? ;   // what a record has where the data has nothing; in `fields` of `data` alone
dims  : '[' (dim (',' dim)* ','?)? ']' ;
dim   : '...' | expr ;

// -------------------------------------------------------------------------------------------------------------- words
// A word that can name something of the user's.
name
  : ID
  | 'from' | 'test' | 'valid' | 'steps' | 'fields' | 'split' | 'derive' | 'augment' | 'loss' | 'optimize' | 'batch' | 'epochs' | 'seed'
  | 'lr' | 'clip' | 'accumulate' | 'ema' | 'precision' | 'target' | 'serve' | 'weights' | 'cache' | 'bucket' | 'by' | 'freeze' | 'learn'
  | 'start' | 'if' | 'present' | 'stop' | 'flat' | 'phase' | 'report' | 'require' | 'on' | 'list' | 'stream' | 'param'
  | 'state' | 'keep' | 'calibrate' | 'in' | 'over' | 'reverse' | 'validate'
  ;

// Any word, where nothing but a word can stand.
word
  : name
  | 'use' | 'const' | 'data' | 'fit' | 'model' | 'fn' | 'flow' | 'train' | 'evaluate' | 'deploy'
  | 'and' | 'or' | 'not' | 'each' | 'when' | 'else' | 'repeat' | 'until' | 'for' | 'yield' | 'scan'
  ;

// ------------------------------------------------------------------------------------------------------------- tokens
USE : 'use' ;        CONST : 'const' ;     DATA : 'data' ;       FIT : 'fit' ;         MODEL : 'model' ;
FN : 'fn' ;          FLOW : 'flow' ;       TRAIN : 'train' ;     EVALUATE : 'evaluate' ; DEPLOY : 'deploy' ;
AND : 'and' ;        OR : 'or' ;           NOT : 'not' ;         EACH : 'each' ;       WHEN : 'when' ;
ELSE : 'else' ;      REPEAT : 'repeat' ;   UNTIL : 'until' ;     FOR : 'for' ;         YIELD : 'yield' ;
SCAN : 'scan' ;      OVER : 'over' ;       REVERSE : 'reverse' ;

FROM : 'from' ;      TEST : 'test' ;       FIELDS : 'fields' ;   SPLIT : 'split' ;     DERIVE : 'derive' ;
AUGMENT : 'augment' ; LOSS : 'loss' ;      OPTIMIZE : 'optimize' ; BATCH : 'batch' ;   EPOCHS : 'epochs' ;
SEED : 'seed' ;      LR : 'lr' ;           CLIP : 'clip' ;       PRECISION : 'precision' ; TARGET : 'target' ;
SERVE : 'serve' ;    WEIGHTS : 'weights' ; CACHE : 'cache' ;     BUCKET : 'bucket' ;   BY : 'by' ;
FREEZE : 'freeze' ;  LEARN : 'learn' ;     START : 'start' ;     IF : 'if' ;           PRESENT : 'present' ;
STOP : 'stop' ;      FLAT : 'flat' ;       PHASE : 'phase' ;     REPORT : 'report' ;   REQUIRE : 'require' ;
ON : 'on' ;          LIST : 'list' ;       STREAM : 'stream' ;   PARAM : 'param' ;     STATE : 'state' ;
KEEP : 'keep' ;      CALIBRATE : 'calibrate' ; IN : 'in' ;          VALID : 'valid' ;     STEPS : 'steps' ;
VALIDATE : 'validate' ; ACCUMULATE : 'accumulate' ; EMA : 'ema' ;

LPAREN : '(' ;       RPAREN : ')' ;        LBRACKET : '[' ;      RBRACKET : ']' ;
LBRACE : '{' ;       RBRACE : '}' ;        COMMA : ',' ;         COLON : ':' ;         ELLIPSIS : '...' ;
DOTS : '..' ;        DOT : '.' ;           PIPE : '|>' ;         ARROW : '->' ;        EQ : '==' ;
NE : '!=' ;          LE : '<=' ;           GE : '>=' ;           LT : '<' ;            GT : '>' ;
ASSIGN : '=' ;       PLUS : '+' ;          MINUS : '-' ;         STAR : '*' ;          SLASH : '/' ;
POW : '^' ;          QUESTION : '?' ;      AT : '@' ;

// The filter hands over every byte beyond ASCII as U+0001 and checks itself which characters are letters: the lexer is
// fast on ASCII alone, and tables of all letters would cost milliseconds at start.
ID     : [a-zA-Z_\u0001] [a-zA-Z0-9_\u0001]* ;
// A unit belongs to its number: `8deg`, `10%`, `16kHz`.
NUMBER : [0-9]+ ('.' [0-9]+)? ([eE] [+\-]? [0-9]+)? ('%' | [a-zA-Z]+)? ;
STRING : '"' (~["\\\r\n] | '\\' ~[\r\n])* '"' ;

SPACE   : [ \t\r\n]+ -> skip ;
COMMENT : '#' ~[\r\n]* -> skip ;

// What no program contains; the token filter turns each into an error.
OPEN_STRING : '"' (~["\\\r\n] | '\\' ~[\r\n])* ;
UNKNOWN     : . ;
