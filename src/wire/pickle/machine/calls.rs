//! Classes, functions and the calls that would make objects.

use super::Machine;
use crate::wire::pickle::{
    error::Read,
    known,
    tree::{Global, Object, Span, Val},
};

impl<'a> Machine<'a, '_> {
    fn name_line(&mut self) -> Read<&'a str> {
        let line = self.input.line()?;
        std::str::from_utf8(line).or_else(|_| self.malformed("a name is not UTF-8"))
    }

    fn named_global(&mut self) -> Read<Val<'a>> {
        let module = self.name_line()?;
        let name = self.name_line()?;
        Ok(self.tree.new_global(Global { module, name }))
    }

    pub(super) fn global(&mut self) -> Read<()> {
        let global = self.named_global()?;
        self.push(global);
        Ok(())
    }

    pub(super) fn stack_global(&mut self) -> Read<()> {
        let name = self.pop()?;
        let module = self.pop()?;
        let (Val::Text(module), Val::Text(name)) = (module, name) else {
            return self.malformed("a name is no text");
        };
        let global = self.tree.new_global(Global { module, name });
        self.push(global);
        Ok(())
    }

    fn pop_arguments(&mut self) -> Read<Span> {
        match self.pop()? {
            Val::Tuple(id) => Ok(self.tree.span(id)),
            _ => self.malformed("the arguments of a call are no tuple"),
        }
    }

    pub(super) fn reduce(&mut self) -> Read<()> {
        let args = self.pop_arguments()?;
        let maker = self.pop()?;
        let value = known::call(&mut self.tree, maker, args);
        self.push(value);
        Ok(())
    }

    fn push_object(&mut self, object: Object<'a>) {
        let id = self.tree.new_object(object);
        self.push(Val::Object(id));
    }

    pub(super) fn new_object(&mut self) -> Read<()> {
        let args = self.pop_arguments()?;
        let class = self.pop()?;
        self.push_object(Object::made_by(class, args));
        Ok(())
    }

    pub(super) fn new_object_with_names(&mut self) -> Read<()> {
        let named = self.pop()?;
        let args = self.pop_arguments()?;
        let class = self.pop()?;
        let Val::Dict(names) = named else {
            return self.malformed("the named arguments of a call are no dictionary");
        };
        let named_args = (!self.tree.span(names).is_empty()).then_some(named);
        self.push_object(Object { named_args, ..Object::made_by(class, args) });
        Ok(())
    }

    /// The class comes first after the mark, its arguments follow.
    pub(super) fn marked_object(&mut self) -> Read<()> {
        let start = self.since_mark()?;
        let Some((&class, args)) = self.stack.get(start..).and_then(<[_]>::split_first) else {
            return self.malformed("a class is missing");
        };
        let args = self.tree.new_span(args);
        self.stack.truncate(start);
        self.push_object(Object::made_by(class, args));
        Ok(())
    }

    /// The class is named here, what came after the mark are its arguments.
    pub(super) fn named_object(&mut self) -> Read<()> {
        let class = self.named_global()?;
        let start = self.since_mark()?;
        let args = self.tree.new_span(self.stack.get(start..).unwrap_or_default());
        self.stack.truncate(start);
        self.push_object(Object::made_by(class, args));
        Ok(())
    }

    pub(super) fn build(&mut self) -> Read<()> {
        let state = self.pop()?;
        match self.top()? {
            Val::Object(id) => {
                if let Some(object) = self.tree.object_mut(id) {
                    object.state = Some(state);
                }
                Ok(())
            }
            _ => self.malformed("a state is given to what is no object"),
        }
    }
}
