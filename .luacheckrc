-- What luacheck expects of this tree.
std = "lua54"
max_line_length = 120

files["spec"] = { std = "+busted" }
files["examples/*_spec.lua"] = { std = "+busted" }
